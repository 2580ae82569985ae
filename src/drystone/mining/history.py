"""The history of `local`: blocks 1 to 119, the same for every network, so that nobody starts poor.

Each is a template's block without other transactions, with the lowest nonce that is enough. alice,
bob and carol take turns with the rewards, and those of 1 to 20 can be spent in block 120.

```
gaps    11 10 11 10 ... 11 | 10 | 11 10 11 ... 11 | 10 | ...      seconds
        `-- ten and nine: 200 s --'
heights 0                 19   20                39   40
```

So each period lasts just what a retarget aims at, and the target stays as it is. From 119 to now
is the gap between two periods, which no retarget looks at, however long it is.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from drystone.chain.blockfile import Record, frame, read_records
from drystone.consensus.chains import LOCAL
from drystone.consensus.locktime import MEDIAN_TIME_SPAN, median_time_past
from drystone.mining.accounts import FUNDED, account
from drystone.mining.search import solve
from drystone.mining.template import Template, assemble
from drystone.primitives.block import Block, BlockHeader

HISTORY_HEIGHT: Final = 119


def history_time(height: int) -> int:
    """Unix seconds of a block of the history."""
    return LOCAL.genesis.header.time + LOCAL.pow_spacing_s * height + (height + 1) // 2


def history_template(headers: list[BlockHeader]) -> Template:
    """What the block after these headers, from genesis on, was mined from."""
    height = len(headers)
    last = headers[-MEDIAN_TIME_SPAN:]
    return assemble(
        height - 1,
        headers.__getitem__,
        median_time=median_time_past([header.time for header in last]),
        now=history_time(height),
        script_pubkey=account(FUNDED[(height - 1) % len(FUNDED)]).script_pubkey,
        params=LOCAL,
    )


def mine_history() -> Iterator[Block]:
    """Mine it anew: 6.7 million hashes, a few seconds at most, even without the native kernel."""
    headers = [LOCAL.genesis.header]
    while len(headers) <= HISTORY_HEIGHT:
        block = solve(history_template(headers))
        assert block is not None  # one of 2^32 nonces is enough, but for a chance of e^-65536
        headers.append(block.header)
        yield block


def encode_history(blocks: Iterable[Block]) -> bytes:
    """The file of them, framed as the reference client's are: `drystone.chain.blockfile`."""
    return b"".join(frame(block.encode(), LOCAL.magic) for block in blocks)


def decode_history(data: bytes) -> tuple[Block, ...]:
    """The blocks in such a file. Raises DecodeError; what is between records is passed over."""
    records = read_records(data, LOCAL.magic)
    return tuple(Block.from_bytes(record.block) for record in records if isinstance(record, Record))
