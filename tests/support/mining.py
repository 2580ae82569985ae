"""Templates on a chain of tests/support/blocks.py, and transactions to choose from."""

from collections.abc import Sequence
from typing import Any

from drystone.mining.search import solve
from drystone.mining.selection import Candidate
from drystone.mining.template import Template, assemble
from drystone.primitives.block import Block
from drystone.primitives.hashes import Txid
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut
from tests.support.blocks import MinedChain

ANYONE_CAN_SPEND = b"\x51"


def template_on(chain: MinedChain, **changes: Any) -> Template:
    """A template on the tip, ten minutes later."""
    arguments: dict[str, Any] = {
        "median_time": chain.median_time_at(chain.height),
        "now": chain.blocks[-1].header.time + 600,
        "script_pubkey": ANYONE_CAN_SPEND,
        "params": chain.params,
    }
    return assemble(chain.height, chain.header_at, **arguments | changes)


def mined_on(chain: MinedChain, **changes: Any) -> Block:
    """Assemble, solve, connect."""
    block = solve(template_on(chain, **changes))
    assert block is not None
    chain.connect(block)
    return block


def candidate(
    number: int,
    *,
    fee: int = 1000,
    needs: Sequence[Candidate] = (),
    outputs: int = 1,
    padding: int = 0,
    sigop_cost: int = 0,
    lock_time: int = 0,
    witness: tuple[bytes, ...] = (),
) -> Candidate:
    """A transaction that spends these, or a coin of its own; its number makes it unlike others."""
    prevouts = [OutPoint(each.tx.txid, 0) for each in needs]
    own = OutPoint(Txid(number.to_bytes(32, "big")), 0)
    vin = [TxIn(prevout, sequence=0) for prevout in prevouts or [own]]
    vin[0] = TxIn(vin[0].prevout, b"", 0, witness)
    vout = [TxOut(number, b"\x6a" + bytes(padding))] * outputs
    return Candidate(Transaction(2, tuple(vin), tuple(vout), lock_time), fee, sigop_cost)
