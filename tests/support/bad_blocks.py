"""Blocks and transactions that break one rule each: those of the rules that regtest can break.

Each is made on a tip whose chain begins with the history of `siege`, so that its coins are there.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count

from drystone.primitives.amount import COIN, MAX_MONEY
from drystone.primitives.block import Block
from drystone.primitives.hashes import BlockHash
from drystone.primitives.opcodes import Op
from drystone.primitives.script import op_return
from drystone.primitives.transaction import (
    NULL_OUTPOINT,
    OutPoint,
    Transaction,
    TxIn,
    TxOut,
)
from tests.support.blocks import ANYONE_CAN_SPEND, REGTEST, assembled, with_commitment
from tests.support.branches import first_coin, payment
from tests.support.siege import LOCK, OWNED, branches, history
from tests.support.spending import spend

Build = Callable[[Block], Block]
SUBSIDY = 50 * COIN

_numbers = count(1)


# Coins of the history, and transactions that spend them.


def coin_at(height: int) -> OutPoint:
    """A coinbase's output."""
    return OutPoint(history()[height - 1].coinbase.txid, 0)


def anyone(
    height: int = OWNED + 1,
    value: int = SUBSIDY - 5_000,
    *,
    sequence: int = 0xFFFFFFFD,
    lock_time: int = 0,
) -> Transaction:
    """A payment of a coin that needs no signature."""
    return payment(coin_at(height), value, sequence=sequence, lock_time=lock_time)


def owned(height: int = 1, *outputs: TxOut, **other: int) -> Transaction:
    """A payment of a coin that needs one."""
    coin = first_coin(history()[height - 1].coinbase, height)
    outputs = outputs or (TxOut(SUBSIDY - 5_000, LOCK.script_pubkey),)
    return spend([coin], [LOCK], outputs, **other)


def unsigned(height: int = 1) -> Transaction:
    """One whose signature is for something else."""
    tx = owned(height)
    return replace(tx, vout=(replace(tx.vout[0], value=tx.vout[0].value - 1),))


# Blocks.


def on(tip: Block, *transactions: Transaction, fees: int = 0, **other: object) -> Block:
    """A block on a tip that keeps every rule if its transactions do."""
    draft = branches().draft(tip, transactions, fees=fees, interval_s=1, **other)  # type: ignore[arg-type]
    return assembled(with_commitment(draft), REGTEST)


def made_of(tip: Block, *transactions: Transaction, **other: object) -> Block:
    """A block of exactly these transactions."""
    draft = branches().draft(tip, **other)  # type: ignore[arg-type]
    return assembled(replace(draft, vtx=transactions), REGTEST)


def coinbase(tip: Block, **fields: object) -> Transaction:
    """The next block's."""
    made = branches().coinbase(branches().height(tip) + 1)
    return replace(made, **fields)  # type: ignore[arg-type]


def with_coinbase(tip: Block, script_sig: bytes) -> Block:
    """One whose coinbase says this."""
    return made_of(tip, coinbase(tip, vin=(TxIn(NULL_OUTPOINT, script_sig),)))


def unsolved(tip: Block) -> Block:
    """A header whose hash is no work."""
    block = on(tip)
    header = block.header
    while int.from_bytes(header.hash, "little") >> 255 == 0:
        header = replace(header, nonce=header.nonce + 1)
    return replace(block, header=header)


def harder(tip: Block) -> Block:
    """A target that nobody asked for, and met."""
    draft = branches().draft(tip, bits=0x2000FFFF)
    return assembled(with_commitment(draft), REGTEST)


def twice_the_last(tip: Block) -> Block:
    """The same root (CVE-2012-2459)."""
    block = on(tip, anyone(), anyone(OWNED + 2))
    return replace(block, vtx=(*block.vtx, block.vtx[-1]))


def without_witness(tip: Block) -> Block:
    """What the header commits to, but not what the coinbase commits to."""
    block = on(tip, owned())
    (tx,) = block.vtx[1:]
    bare = replace(tx, vin=tuple(replace(txin, witness=()) for txin in tx.vin))
    return replace(block, vtx=(block.coinbase, bare))


def uncommitted(tip: Block) -> Block:
    """Witnesses, and no commitment to them."""
    return made_of(tip, coinbase(tip), owned())


def wrong_reserved_value(tip: Block) -> Block:
    """A commitment, and no value with it."""
    draft = with_commitment(branches().draft(tip, [owned()]))
    vin = (replace(draft.coinbase.vin[0], witness=(b"short",)),)
    vtx = (replace(draft.coinbase, vin=vin), *draft.vtx[1:])
    return assembled(replace(draft, vtx=vtx), REGTEST)


def heavy(tip: Block) -> Block:
    """A witness that is too much."""
    tx = owned()
    fat = (replace(tx.vin[0], witness=(bytes(3_999_000),)),)
    return on(tip, replace(tx, vin=fat))


def long_block(tip: Block) -> Block:
    """More than a million bytes without witnesses."""
    return on(tip, replace(anyone(), vout=(TxOut(0, op_return(bytes(1_000_000))),)))


def many_checks(tip: Block) -> Block:
    """More signature checks than a block may have."""
    script = bytes((Op.OP_CHECKSIG,)) * 20_001
    return made_of(tip, coinbase(tip, vout=(TxOut(0, script),)))


def nowhere() -> Transaction:
    """Spends what never was."""
    return payment(OutPoint(history()[0].coinbase.txid, 7), 1)


def on_nothing(tip: Block) -> Block:
    """A block whose parent nobody knows."""
    block = on(tip)
    header = replace(block.header, prev_hash=BlockHash(block.header.merkle_root))
    return assembled(replace(block, header=header), REGTEST)


def _outputs(*values: int) -> tuple[TxOut, ...]:
    return tuple(TxOut(value, ANYONE_CAN_SPEND) for value in values)


MUTATED = "mutated block"

BAD_BLOCKS: Mapping[str, tuple[str, Build]] = {
    # What the connection ends with, if with anything, and how the block is made.
    "high-hash": ("invalid block: high-hash", unsolved),
    "bad-diffbits": ("invalid block: bad-diffbits", harder),
    "time-too-old": (
        "invalid block: time-too-old",
        lambda tip: on(tip, time=history()[0].header.time),
    ),
    "bad-version": ("invalid block: bad-version(0x00000001)", lambda tip: on(tip, version=1)),
    "prev-blk-not-found": ("invalid header received: prev-blk-not-found", on_nothing),
    "bad-txnmrklroot": (
        MUTATED,
        lambda tip: replace(on(tip, anyone()), vtx=on(tip, anyone(OWNED + 2)).vtx),
    ),
    "bad-txns-duplicate": (MUTATED, twice_the_last),
    "bad-witness-merkle-match": (MUTATED, without_witness),
    "unexpected-witness": (MUTATED, uncommitted),
    "bad-witness-nonce-size": (MUTATED, wrong_reserved_value),
    "no transactions": ("invalid block: bad-blk-length", made_of),
    "bad-blk-length": ("invalid block: bad-blk-length", long_block),
    "bad-blk-weight": ("invalid block: bad-blk-weight", heavy),
    "bad-blk-sigops": ("invalid block: bad-blk-sigops", many_checks),
    "bad-cb-missing": ("invalid block: bad-cb-missing", lambda tip: made_of(tip, anyone())),
    "bad-cb-multiple": (
        "invalid block: bad-cb-multiple",
        lambda tip: made_of(tip, coinbase(tip), coinbase(tip)),
    ),
    "bad-cb-height": ("invalid block: bad-cb-height", lambda tip: with_coinbase(tip, b"\1\1\0")),
    "short bad-cb-length": ("invalid block: bad-cb-length", lambda tip: with_coinbase(tip, b"\1")),
    "bad-cb-length": ("invalid block: bad-cb-length", lambda tip: with_coinbase(tip, bytes(101))),
    "bad-cb-amount": ("invalid block: bad-cb-amount", lambda tip: on(tip, fees=1)),
    "bad-txns-vin-empty": (
        "invalid block: bad-txns-vin-empty",
        lambda tip: made_of(tip, coinbase(tip), Transaction(2, (), ())),
    ),
    "bad-txns-vout-empty": (
        "invalid block: bad-txns-vout-empty",
        lambda tip: on(tip, replace(anyone(), vout=())),
    ),
    "bad-txns-vout-negative": (
        "invalid block: bad-txns-vout-negative",
        lambda tip: on(tip, replace(anyone(), vout=_outputs(-1))),
    ),
    "bad-txns-vout-toolarge": (
        "invalid block: bad-txns-vout-toolarge",
        lambda tip: on(tip, replace(anyone(), vout=_outputs(MAX_MONEY + 1))),
    ),
    "bad-txns-txouttotal-toolarge": (
        "invalid block: bad-txns-txouttotal-toolarge",
        lambda tip: on(tip, replace(anyone(), vout=_outputs(MAX_MONEY, MAX_MONEY))),
    ),
    "bad-txns-inputs-duplicate": (
        "invalid block: bad-txns-inputs-duplicate",
        lambda tip: on(tip, replace(anyone(), vin=anyone().vin * 2)),
    ),
    "bad-txns-prevout-null": (
        "invalid block: bad-txns-prevout-null",
        lambda tip: on(tip, replace(anyone(), vin=(*anyone().vin, TxIn(NULL_OUTPOINT)))),
    ),
    "bad-txns-inputs-missingorspent": (
        "invalid block: bad-txns-inputs-missingorspent",
        lambda tip: on(tip, nowhere()),
    ),
    "spent twice in one block": (
        "invalid block: bad-txns-inputs-missingorspent",
        lambda tip: on(tip, anyone(), anyone(value=1)),
    ),
    "bad-txns-premature-spend-of-coinbase": (
        "invalid block: bad-txns-premature-spend-of-coinbase",
        lambda tip: on(tip, payment(OutPoint(tip.coinbase.txid, 0), 1)),
    ),
    "bad-txns-in-belowout": (
        "invalid block: bad-txns-in-belowout",
        lambda tip: on(tip, anyone(value=SUBSIDY + 1)),
    ),
    "bad-txns-nonfinal": (
        "invalid block: bad-txns-nonfinal",
        lambda tip: on(tip, anyone(lock_time=400_000)),
    ),
    "bad-txns-nonfinal by BIP68": (
        "invalid block: bad-txns-nonfinal",
        lambda tip: on(tip, anyone(sequence=0xFFFF)),
    ),
    "block-script-verify-flag-failed": (
        "invalid block: block-script-verify-flag-failed",
        lambda tip: on(tip, unsigned()),
    ),
}

# Nobody's fault, or not yet: the block is refused, and whoever sent it stays.
REFUSED_BLOCKS: Mapping[str, Build] = {
    "time-too-new": lambda tip: on(tip, time=4_000_000_000),
}


# Transactions.

BAD_TRANSACTIONS: Mapping[str, Callable[[Block], Transaction]] = {
    "bad-txns-vout-empty": lambda _: replace(owned(), vout=()),
    "bad-txns-vout-negative": lambda _: replace(owned(), vout=_outputs(-1)),
    "bad-txns-vout-toolarge": lambda _: replace(owned(), vout=_outputs(MAX_MONEY + 1)),
    "bad-txns-txouttotal-toolarge": lambda _: replace(owned(), vout=_outputs(MAX_MONEY, MAX_MONEY)),
    "bad-txns-inputs-duplicate": lambda _: replace(owned(), vin=owned().vin * 2),
    "bad-txns-prevout-null": lambda _: replace(
        owned(), vin=(*owned().vin, TxIn(NULL_OUTPOINT, b"\1\1"))
    ),
    "bad-txns-in-belowout": lambda _: owned(2, TxOut(SUBSIDY + 1, LOCK.script_pubkey)),
    "bad-txns-premature-spend-of-coinbase": lambda tip: payment(
        OutPoint(tip.coinbase.txid, 0), 5_000, LOCK.script_pubkey
    ),
    "bad-txns-nonstandard-inputs": lambda _: payment(
        coin_at(OWNED + 1), SUBSIDY - 5_000, LOCK.script_pubkey
    ),
    "coinbase": lambda _: branches().coinbase(next(_numbers)),
    "version": lambda _: owned(3, version=9),
    "scriptpubkey": lambda _: owned(3, TxOut(SUBSIDY - 5_000, b"\x6a\x50\xff" * 5 + b"\x01")),
    "dust": lambda _: owned(3, TxOut(1, LOCK.script_pubkey), TxOut(1, LOCK.script_pubkey)),
    "tx-size": lambda _: owned(3, *[TxOut(10_000, LOCK.script_pubkey)] * 3_500),
    "non-final": lambda _: owned(4, lock_time=400_000),
    "non-BIP68-final": lambda _: owned(4, sequence=0xFFFF),
    "min relay fee not met": lambda _: owned(5, TxOut(SUBSIDY, LOCK.script_pubkey)),
    "mempool-script-verify-flag-failed": lambda _: unsigned(6),
}
