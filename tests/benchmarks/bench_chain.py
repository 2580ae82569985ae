"""How fast a chain is, and whether its size matters.

    python tests/benchmarks/bench_chain.py [--only open,import] [--rounds 3]

| what            | how                                                                     |
|---|---|
| growth          | an empty block connected at height 100,000, against one at height 100   |
| mining          | 1,000 regtest blocks mined and connected in memory                      |
| reorganisation  | over 100 blocks of 100 transactions; 10,000 transactions are given back |
| opening         | a directory with 100,000 blocks, and the memory that it takes at rest   |
| import          | 2,000 blocks with 100,000 one-signature transactions, to disk           |

Each figure is the best of the rounds, since whatever else runs on the machine only ever makes it
worse. Opening and import are measured in processes of their own. What one thread does is told in
seconds of the processor; where the disk or other threads take part, in seconds of the clock. Chains
are made once and kept under build/, which takes a minute or two the first time.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.chainmaker import KEPT, bench_chain, mined
from tests.support.blocks import REGTEST, coinbase_at

from drystone.chain.blockfile import Record, read_records
from drystone.chain.chainstate import ChainState
from drystone.chain.memory import MemoryBlocks, MemoryCoins
from drystone.chain.outcomes import Arrival
from drystone.core.chance import Stream
from drystone.drivers.miner import Miner
from drystone.mining.budget import Budget
from drystone.network.collector import calm_collector
from drystone.network.mining import mine_blocks
from drystone.network.opening import opened_chain
from drystone.primitives.block import Block

NOW = REGTEST.genesis.header.time + 1_000_000_000
LOW, HIGH = 100, 100_000
EMPTY_BLOCKS = 500  # connected at each height
BATCH = 1_000


def line(what: str, figure: str, bar: str, *, is_kept: bool) -> None:
    """Print a line of the table."""
    print(f"{what:<66} {figure:>16}  {bar:<22} {'' if is_kept else 'MISSED'}")


def in_memory() -> ChainState:
    """A new chain."""
    return ChainState(REGTEST, MemoryBlocks(), MemoryCoins())


def blocks_of(path: Path) -> Iterator[Block]:
    """The blocks of a file that `chainmaker` made, genesis too."""
    with path.open("rb") as file:
        for record in read_records(file, REGTEST.magic):
            assert isinstance(record, Record)
            yield Block.from_bytes(record.block)


def submit(chain: ChainState, blocks: Iterator[Block] | Sequence[Block], count: int) -> None:
    """So many blocks in batches."""
    left = islice(blocks, count)
    while batch := list(islice(left, BATCH)):
        assert chain.submit_all(map(Arrival, batch), now=NOW).error is None


# Growth.


def connect_one_by_one(chain: ChainState, blocks: Iterator[Block]) -> float:
    """The median of what an empty block takes, in seconds of the processor."""
    taken = []
    for block in islice(blocks, EMPTY_BLOCKS):
        start = time.process_time()
        assert chain.submit(block, now=NOW).change is not None
        taken.append(time.process_time() - start)
    return median(taken)


@contextmanager
def on_disk(datadir: Path) -> Iterator[ChainState]:
    """The chain in a directory."""
    with opened_chain(datadir, REGTEST) as chain:
        yield chain


@contextmanager
def as_memory(_datadir: Path) -> Iterator[ChainState]:
    """A new chain in memory."""
    with calm_collector():
        yield in_memory()


STORES = {"memory": as_memory, "disk": on_disk}


def bench_growth(rounds: int) -> None:
    """The same blocks at both heights of one chain, in memory and on disk."""
    path = bench_chain(HIGH + EMPTY_BLOCKS, 0)
    for where, opened in STORES.items():
        ratios, figures = [], []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as chain:
                blocks = blocks_of(path)
                submit(chain, blocks, LOW)
                low = connect_one_by_one(chain, blocks)
                submit(chain, blocks, HIGH - chain.height)
                high = connect_one_by_one(chain, blocks)
            ratios.append(high / low)
            figures.append((low, high))
        low, high = (1e6 * min(times) for times in zip(*figures, strict=True))
        ratio = min(ratios)
        line(
            f"growth, {where}: {low:.0f} us at {LOW}, {high:.0f} us at {HIGH:,}",
            f"{ratio:.2f} times",
            "at most 1.3 times",
            is_kept=ratio <= 1.3,
        )


# Mining.


def bench_mining(rounds: int) -> None:
    """What `drystone mine` does, without a directory."""

    def work() -> None:
        chain = in_memory()
        found = mine_blocks(chain, b"\x51", Miner(Budget(None, Stream(1))), stop=_Never())
        assert len(list(islice(found, 1000))) == 1000

    seconds = best_of(rounds, work)
    line(
        "mining: 1,000 blocks in memory",
        f"{seconds:.2f} s",
        "at most 0.5 s",
        is_kept=seconds <= 0.5,
    )


class _Never:
    def __bool__(self) -> bool:
        return False


def best_of(
    rounds: int, work: Callable[[], None], clock: Callable[[], float] = time.process_time
) -> float:
    """The least that a work takes."""
    taken = []
    for _ in range(rounds):
        start = clock()
        work()
        taken.append(clock() - start)
    return min(taken)


# Reorganisation.


def bench_reorganisation(rounds: int) -> None:
    """From 100 full blocks to 101 empty ones, and back by hand."""
    blocks = list(blocks_of(bench_chain(200, 10_000)))
    base, full = blocks[:101], blocks[101:]
    assert [len(block.vtx) for block in full] == [101] * 100
    rivals: list[Block] = []
    for height in range(101, 202):
        tip = (rivals or base)[-1].header
        rivals.append(mined(tip, (coinbase_at(height, 0, b"\x52"),)))
    for where, opened in STORES.items():
        there, back = [], []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as chain:
                submit(chain, blocks, len(blocks))
                submit(chain, rivals, 100)
                start = time.process_time()
                change = chain.submit(rivals[-1], now=NOW).change
                there.append(time.process_time() - start)
                assert change is not None and len(change.unconfirmed) == 10_000
                start = time.process_time()
                chain.invalidate(rivals[0].hash)
                back.append(time.process_time() - start)
                assert chain.tip.hash == full[-1].hash
        for what, taken in (("from 10,000 transactions", there), ("and back to them", back)):
            seconds = min(taken)
            line(
                f"reorganisation over 100 blocks, {where}: {what}",
                f"{seconds:.2f} s",
                "at most 1 s",
                is_kept=seconds <= 1,
            )


# Opening.

OPEN = """
import resource, sys, time
from pathlib import Path
from drystone.consensus.chains import REGTEST
from drystone.network.opening import opened_chain
start, began = time.perf_counter(), time.process_time()
with opened_chain(Path(sys.argv[1]), REGTEST) as chain:
    opened, spent = time.perf_counter() - start, time.process_time() - began
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    print(chain.height, opened, spent, pages * resource.getpagesize())
"""


def kept_directory() -> Path:
    """100,000 empty blocks on disk, made once for each version of what made them."""
    made = bench_chain(HIGH + EMPTY_BLOCKS, 0)
    datadir = KEPT / f"{made.stem}.datadir"
    if not datadir.exists():
        unfinished = datadir.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        with opened_chain(unfinished, REGTEST) as chain:
            submit(chain, blocks_of(made), HIGH + 1)
        unfinished.rename(datadir)
    return datadir


def bench_opening(rounds: int) -> None:
    """A directory opened by a new process, modules loaded already."""
    datadir = kept_directory()
    seconds, cpu, sizes = [], [], []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-c", OPEN, str(datadir)], capture_output=True, text=True, check=True
        )
        height, opened, spent, size = done.stdout.split()
        assert int(height) == HIGH
        seconds.append(float(opened))
        cpu.append(float(spent))
        sizes.append(int(size) / 1e6)
    line(
        f"opening 100,000 blocks ({min(cpu):.2f} s of the processor)",
        f"{min(seconds):.2f} s",
        "at most 2 s",
        is_kept=min(seconds) <= 2,
    )
    line("memory at rest", f"{min(sizes):.0f} MB", "at most 400 MB", is_kept=min(sizes) <= 400)


# Import.

IMPORT = """
import sys, time
from pathlib import Path
from drystone.chain.blockfile import read_records
from drystone.chain.importing import import_blocks
from drystone.consensus.chains import REGTEST
from drystone.network.opening import opened_chain
path, datadir = Path(sys.argv[1]), Path(sys.argv[2])
are_assumed, now = bool(sys.argv[3]), int(sys.argv[4])
start, began = time.perf_counter(), time.process_time()
with opened_chain(datadir, REGTEST, are_scripts_assumed=lambda _: are_assumed) as chain:
    with path.open("rb") as file:
        *_, last = import_blocks(chain, read_records(file, REGTEST.magic), now=now)
    assert chain.height == 2_000 and not last.complaints
print(last.transactions, time.perf_counter() - start, time.process_time() - began)
"""


def bench_import(rounds: int) -> None:
    """From a file to a directory, as `drystone chain import` does, each in a new process."""
    path = bench_chain()
    for what, are_assumed, least in (
        ("checked", "", 18_000),
        ("assumed valid", "yes", 30_000),
    ):
        rates, cpu = [], []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                done = subprocess.run(
                    [sys.executable, "-c", IMPORT, str(path), folder, are_assumed, str(NOW)],
                    capture_output=True,
                    text=True,
                    check=True,
                )
            transactions, took, spent = map(float, done.stdout.split())
            assert transactions >= 100_000
            rates.append(transactions / took)
            cpu.append(spent)
        line(
            f"import to disk, signatures {what} ({min(cpu):.1f} s of processors)",
            f"{max(rates):,.0f} tx/s",
            f"at least {least:,} tx/s",
            is_kept=max(rates) >= least,
        )


BENCHMARKS: dict[str, Callable[[int], None]] = {
    "growth": bench_growth,
    "mining": bench_mining,
    "reorganisation": bench_reorganisation,
    "open": bench_opening,
    "import": bench_import,
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default=",".join(BENCHMARKS), help="names, with commas between")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for name in options.only.split(","):
        BENCHMARKS[name](options.rounds)


if __name__ == "__main__":
    main()
