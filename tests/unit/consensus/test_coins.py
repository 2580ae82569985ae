"""Coins as transactions change them."""

from drystone.consensus.coins import Coin, CoinsOverlay
from drystone.primitives.script import op_return
from drystone.primitives.transaction import NULL_OUTPOINT, OutPoint, Transaction, TxIn, TxOut

COINBASE = Transaction(2, (TxIn(NULL_OUTPOINT, b"\x51\x51"),), (TxOut(50, b"\x51"), TxOut(1, b"")))
OLD = {OutPoint(COINBASE.txid, n): Coin(txout, 3, True) for n, txout in enumerate(COINBASE.vout)}
FIRST, SECOND = OLD
SPEND = Transaction(2, (TxIn(FIRST),), (TxOut(49, b"\x51"), TxOut(0, op_return(b"hello"))))
CHILD = OutPoint(SPEND.txid, 0)


def test_what_a_transaction_spends_is_gone_and_what_it_makes_is_there() -> None:
    view = CoinsOverlay(OLD, 7)
    view.apply(SPEND, [OLD[FIRST]])
    assert view.get(FIRST) is None
    assert view.get(SECOND) == OLD[SECOND]
    assert view.get(CHILD) == Coin(SPEND.vout[0], 7, is_coinbase=False)
    assert view.spent == {FIRST: OLD[FIRST]}
    assert set(view.created) == {CHILD}
    assert len(OLD) == 2


def test_an_unspendable_output_makes_no_coin() -> None:
    view = CoinsOverlay(OLD, 7)
    view.apply(SPEND, [OLD[FIRST]])
    assert view.get(OutPoint(SPEND.txid, 1)) is None


def test_a_coinbase_spends_nothing_and_marks_its_coins() -> None:
    view = CoinsOverlay({}, 3)
    view.apply(COINBASE, [])
    assert view.created == OLD
    assert not view.spent


def test_a_coin_made_and_spent_at_once_leaves_no_trace() -> None:
    view = CoinsOverlay(OLD, 7)
    view.apply(SPEND, [OLD[FIRST]])
    grandchild = Transaction(2, (TxIn(CHILD),), (TxOut(40, b"\x51"),))
    made = view.get(CHILD)
    assert made is not None
    view.apply(grandchild, [made])
    assert view.get(CHILD) is None
    assert view.spent == {FIRST: OLD[FIRST]}
    assert set(view.created) == {OutPoint(grandchild.txid, 0)}


def test_what_is_overwritten_can_be_put_back() -> None:
    """The same coinbase once more, before BIP30."""
    view = CoinsOverlay({SECOND: OLD[SECOND]}, 9)
    view.overwrite(COINBASE)
    view.apply(COINBASE, [])
    assert view.spent == {SECOND: OLD[SECOND]}
    assert view.get(SECOND) == Coin(COINBASE.vout[1], 9, is_coinbase=True)
