"""The chain that benchmarks import: regtest, every signature valid, the same bytes each time.

    python tests/benchmarks/chainmaker.py OUT.dat [--blocks 2000] [--transactions 100000]

The file has the reference client's framing, and begins with genesis as its files do: a chain of
2,000 blocks is 2,001 records. It is made once and kept under build/, which git ignores.

Each transaction has one signature: it spends one P2WPKH coin, and pays two keys that were never
used before, as a payment and its change do. So the coins grow by one with each transaction. Which
coin it spends:

```
one in twenty       one that the same block makes
eleven in twenty    one of the last ten blocks
eight in twenty     any older one, coinbases too once they are mature
```

The transactions are spread evenly over the blocks from height 101 on, the first that can spend
anything. Where there is no coin of the age that was drawn, another is taken.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple, TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.blocks import BLOCK_INTERVAL_S, REGTEST, coinbase_at, with_commitment

from drystone.chain.blockfile import frame
from drystone.consensus.pow import target_from_bits
from drystone.consensus.script.sighash import SIGHASH_ALL, SignatureHashes
from drystone.consensus.subsidy import block_subsidy
from drystone.core.chance import Stream
from drystone.crypto.ripemd160 import hash160
from drystone.crypto.secp256k1 import public_key, sign_ecdsa
from drystone.kernel import search
from drystone.primitives.block import Block, BlockHeader
from drystone.primitives.script import p2pkh, p2wpkh
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut

T = TypeVar("T")

BLOCKS: Final = 2_000
TRANSACTIONS: Final = 100_000
KEPT = Path(__file__).resolve().parents[2] / "build" / "benchmarks"

RECENT_BLOCKS = 10
MAX_PER_BLOCK = 7_000  # transactions of 561 weight units
FEE = 282  # satoshis: two for each virtual byte
LEAST_VALUE = 10_000  # satoshis; a smaller coin is never spent, so that none becomes dust
SEQUENCE = 0xFFFFFFFD  # as wallets have it: lock time counts, and the fee may be raised
BLOCK_VERSION = 0x20000000


def bench_chain(blocks: int = BLOCKS, transactions: int = TRANSACTIONS) -> Path:
    """The file of such a chain, made now unless it was before. Raises ValueError.

    The file is named by this module's text, too: after a change here, a new one is made.
    """
    version = sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    path = KEPT / f"chain-{blocks}-{transactions}-{version}.dat"
    if not path.exists():
        chain = made_chain(blocks, transactions)
        KEPT.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=KEPT) as folder:
            unfinished = Path(folder, path.name)
            with unfinished.open("wb") as file:
                for block in chain:
                    file.write(frame(block.encode(), REGTEST.magic))
            unfinished.replace(path)
    return path


def made_chain(blocks: int, transactions: int) -> Iterator[Block]:
    """Genesis, then so many blocks with so many transactions besides coinbases, one by one.

    Raises ValueError where there would be no room for them.
    """
    spending = max(0, blocks - REGTEST.coinbase_maturity)
    if blocks < 0 or not 0 <= transactions <= spending * MAX_PER_BLOCK:
        raise ValueError(
            f"{blocks} blocks have no room for {transactions} transactions: it is {MAX_PER_BLOCK} "
            f"for each block after the first {REGTEST.coinbase_maturity}"
        )
    return _made(blocks, transactions, spending)


def _made(blocks: int, transactions: int, spending: int) -> Iterator[Block]:
    chance = Stream(1, "benchmark chain")
    purse, keys = Purse(chance), Keys()
    tip = REGTEST.genesis
    yield tip
    for height in range(1, blocks + 1):
        nth = max(0, height - REGTEST.coinbase_maturity)
        count = transactions * nth // (spending or 1)
        count -= transactions * max(0, nth - 1) // (spending or 1)
        purse.begin_block(height)
        payments = []
        for _ in range(count):
            payment = paid(purse.draw(), keys, chance, height)
            payments.append(payment)
            purse.put_outputs(payment, keys)
        value = block_subsidy(height, REGTEST.halving_interval) + FEE * len(payments)
        coinbase = coinbase_at(height, value, keys.new_script())
        tip = mined(tip.header, (coinbase, *payments))
        purse.put_coinbase(tip.coinbase, keys)
        yield tip


class Keys:
    """Keys, one for each output, and which script belongs to which."""

    def __init__(self) -> None:
        self._made = 0
        self._secret_of: dict[bytes, bytes] = {}

    def new_script(self) -> bytes:
        """Pays to a key that had no coin before."""
        secret = sha256(b"benchmark key %d" % self._made).digest()
        self._made += 1
        script = p2wpkh(hash160(public_key(secret)))
        self._secret_of[script] = secret
        return script

    def take_secret(self, script: bytes) -> bytes:
        """Of such a script, whose one coin is now put somewhere to be spent."""
        return self._secret_of.pop(script)


class Owned(NamedTuple):
    """A coin, and the key to it."""

    outpoint: OutPoint
    output: TxOut
    secret: bytes


class Purse:
    """Coins that can be spent, by age."""

    def __init__(self, chance: Stream) -> None:
        self._chance = chance
        self._fresh: list[Owned] = []  # of the block being made
        self._recent: list[tuple[int, Owned]] = []  # with the height; older ones move on
        self._old: list[Owned] = []
        self._immature: dict[int, Owned] = {}  # by the height that may spend it
        self._height = 0

    def begin_block(self, height: int) -> None:
        """Coins get older by one block."""
        self._recent += [(self._height, coin) for coin in self._fresh]
        self._fresh = []
        self._old += [coin for made, coin in self._recent if made < height - RECENT_BLOCKS]
        self._recent = [(made, it) for made, it in self._recent if made >= height - RECENT_BLOCKS]
        if height in self._immature:
            self._old.append(self._immature.pop(height))
        self._height = height

    def put_outputs(self, tx: Transaction, keys: Keys) -> None:
        """A payment's outputs, of the block being made."""
        for vout, output in enumerate(tx.vout):
            secret = keys.take_secret(output.script_pubkey)
            if output.value >= LEAST_VALUE:
                self._fresh.append(Owned(OutPoint(tx.txid, vout), output, secret))

    def put_coinbase(self, tx: Transaction, keys: Keys) -> None:
        """A coinbase's first output, of the block just made. The other is the commitment."""
        output = tx.vout[0]
        secret = keys.take_secret(output.script_pubkey)
        if output.value >= LEAST_VALUE:
            owned = Owned(OutPoint(tx.txid, 0), output, secret)
            self._immature[self._height + REGTEST.coinbase_maturity] = owned

    def draw(self) -> Owned:
        """Take one out, of an age as the module's text tells."""
        age = self._chance.below(20)
        if self._fresh and (age == 0 or not (self._recent or self._old)):
            return self._take(self._fresh)
        if self._recent and (age < 12 or not self._old):
            return self._take(self._recent)[1]
        return self._take(self._old)

    def _take(self, coins: list[T]) -> T:
        n = self._chance.below(len(coins))
        coins[n], coins[-1] = coins[-1], coins[n]
        return coins.pop()


def paid(coin: Owned, keys: Keys, chance: Stream, height: int) -> Transaction:
    """A signed payment of a part of a coin, and change."""
    value = coin.output.value - FEE
    amount = value * (200 + chance.below(601)) // 1000
    outputs = [TxOut(part, keys.new_script()) for part in (amount, value - amount)]
    if chance.below(2):
        outputs.reverse()
    txin = TxIn(coin.outpoint, sequence=SEQUENCE)
    tx = Transaction(2, (txin,), tuple(outputs), lock_time=height - 1)
    key = public_key(coin.secret)
    hashes = SignatureHashes(tx, (coin.output,))
    digest = hashes.witness_v0(0, p2pkh(hash160(key)), SIGHASH_ALL)
    signature = sign_ecdsa(coin.secret, digest) + bytes((SIGHASH_ALL,))
    return replace(tx, vin=(replace(txin, witness=(signature, key)),))


def mined(previous: BlockHeader, transactions: tuple[Transaction, ...]) -> Block:
    """The block of these on top of that one, committed and solved."""
    time = previous.time + BLOCK_INTERVAL_S
    header = BlockHeader(BLOCK_VERSION, previous.hash, bytes(32), time, previous.bits, 0)
    block = with_commitment(Block(header, transactions))
    header = replace(header, merkle_root=block.merkle_root()[0])
    target = target_from_bits(header.bits, REGTEST.pow_limit)
    assert target is not None
    nonce = search(header.encode(), target, 0, 1 << 32)
    assert nonce is not None, "every other hash is enough on regtest"
    return replace(block, header=replace(header, nonce=nonce))


def main() -> None:
    """Write such a file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path, metavar="OUT.dat")
    parser.add_argument("--blocks", type=int, default=BLOCKS, help="besides genesis")
    parser.add_argument(
        "--transactions", type=int, default=TRANSACTIONS, help="besides coinbases, over all blocks"
    )
    options = parser.parse_args()
    try:
        shutil.copyfile(bench_chain(options.blocks, options.transactions), options.out)
    except (OSError, ValueError) as mistake:
        parser.error(str(mistake))


if __name__ == "__main__":
    main()
