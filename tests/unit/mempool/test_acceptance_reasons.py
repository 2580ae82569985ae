"""Each reason for which a single transaction is refused, and the step across the line."""

from dataclasses import replace
from hashlib import sha256

import pytest
from tests.support.mempool import HEIGHT, LOCK, NOW, VALUE, Place, owned
from tests.support.spending import (
    KEY,
    KEYS,
    LOCKS,
    Lock,
    Unlocked,
    anyone_lock,
    p2pkh_lock,
    p2sh_lock,
    p2sh_p2wpkh_lock,
    p2tr_key_lock,
    p2tr_script_lock,
    p2wpkh_lock,
    p2wsh_lock,
)

from drystone.consensus.errors import MissingInputs, Rejected, TxInvalid, TxPremature
from drystone.crypto.ripemd160 import hash160
from drystone.mempool.errors import (
    FeeTooLow,
    InputsNonstandard,
    PolicyRefused,
    TxKnown,
    TxNonstandard,
    WitnessMutated,
    WitnessStripped,
)
from drystone.mempool.outcomes import Accepted, Refused
from drystone.mempool.policy import Policy
from drystone.mempool.standardness import check_witness_standard, dust_threshold
from drystone.primitives.hashes import Txid
from drystone.primitives.opcodes import Op
from drystone.primitives.script import (
    P2A,
    multisig,
    op_return,
    p2pk,
    p2pkh,
    p2sh,
    p2tr,
    p2wpkh,
    p2wsh,
    push,
    witness_script_pubkey,
)
from drystone.primitives.transaction import (
    NULL_OUTPOINT,
    OutPoint,
    Transaction,
    TxIn,
    TxOut,
)

SCRIPT = LOCK.script_pubkey


@pytest.fixture
def place() -> Place:
    return Place()


def refusal(place: Place, tx: Transaction, kind: type[Rejected]) -> str:
    """Testing and letting in agree, nothing changes, and the error is of this class alone."""
    tested, outcome = place.test(tx), place.accept(tx)
    assert isinstance(tested, Refused) and isinstance(outcome, Refused)
    assert tested.reason == outcome.reason
    assert type(outcome.error) is kind
    assert tx.txid not in place.pool or isinstance(outcome.error, TxKnown)
    return outcome.reason


def check_fine(place: Place, tx: Transaction) -> None:
    """Testing and letting in agree, and only the latter lets it in."""
    tested = place.test(tx)
    assert isinstance(tested, Accepted), tested
    assert tx.txid not in place.pool
    assert place.accept(tx) == tested
    assert tx.txid in place.pool


@pytest.mark.parametrize("lock", LOCKS[1:], ids=lambda lock: lock.name)
def test_everyday_locks_are_standard(place: Place, lock: Lock) -> None:
    check_fine(place, place.pay(place.fund(lock)))


# ---------------------------------------------------------------------- consensus


def test_a_transaction_that_breaks_consensus_is_invalid(place: Place) -> None:
    tx = place.pay()
    assert refusal(place, replace(tx, vout=()), TxInvalid) == "bad-txns-vout-empty"
    much = place.pay(outputs=[TxOut(VALUE, SCRIPT)])
    assert refusal(place, much, TxInvalid) == "bad-txns-vout-negative"
    rich = replace(tx, vout=(TxOut(VALUE + 1, SCRIPT),))
    assert refusal(place, rich, TxInvalid) == "bad-txns-in-belowout"
    check_fine(place, tx)


def test_a_coinbase_comes_in_a_block_only(place: Place) -> None:
    tx = Transaction(1, (TxIn(NULL_OUTPOINT, b"\1\1"),), (TxOut(1, SCRIPT),))
    assert refusal(place, tx, TxInvalid) == "coinbase"


def test_a_coin_that_is_not_there_is_missing(place: Place) -> None:
    coin = place.fund()
    tx = place.pay(coin)
    del place.coins[coin.outpoint]
    assert refusal(place, tx, MissingInputs) == "bad-txns-inputs-missingorspent"
    place.coins[coin.outpoint] = coin.coin
    check_fine(place, tx)


def test_an_output_that_a_transaction_in_the_pool_lacks_is_missing(place: Place) -> None:
    (parent,) = place.let_in(place.pay())
    tx = place.pay(owned(parent))
    beyond = replace(tx, vin=(replace(tx.vin[0], prevout=OutPoint(parent.txid, 1)),))
    assert refusal(place, beyond, MissingInputs) == "bad-txns-inputs-missingorspent"


def test_a_coinbase_must_be_mature_in_the_next_block(place: Place) -> None:
    young = place.pay(place.fund(height=HEIGHT - 98, is_coinbase=True))
    assert refusal(place, young, TxPremature) == "bad-txns-premature-spend-of-coinbase"
    check_fine(place, place.pay(place.fund(height=HEIGHT - 99, is_coinbase=True)))


@pytest.mark.parametrize("lock_time", [HEIGHT + 1, NOW - 3_600], ids=["height", "time"])
def test_a_lock_time_must_have_passed_by_the_next_block(place: Place, lock_time: int) -> None:
    assert refusal(place, place.pay(lock_time=lock_time), TxPremature) == "non-final"
    check_fine(place, place.pay(lock_time=lock_time - 1))
    check_fine(place, place.pay(lock_time=lock_time, sequence=0xFFFFFFFF))


def test_coins_must_be_old_enough_by_the_next_block(place: Place) -> None:
    in_blocks = place.pay(place.fund(height=HEIGHT - 5), sequence=7)
    assert refusal(place, in_blocks, TxPremature) == "non-BIP68-final"
    check_fine(place, place.pay(place.fund(height=HEIGHT - 5), sequence=6))
    seven_hours = 1 << 22 | 50  # of 512 seconds, and a coin's block is 42 of 600 behind the tip
    in_time = place.pay(place.fund(height=HEIGHT - 41), sequence=seven_hours)
    assert refusal(place, in_time, TxPremature) == "non-BIP68-final"
    check_fine(place, place.pay(place.fund(height=HEIGHT - 42), sequence=seven_hours))


def test_an_unconfirmed_coin_is_no_block_old(place: Place) -> None:
    first, second = place.let_in(place.pay(), place.pay())
    assert refusal(place, place.pay(owned(first), sequence=1), TxPremature) == "non-BIP68-final"
    check_fine(place, place.pay(owned(second), sequence=0))


# ---------------------------------------------------------------------- known


def test_a_transaction_comes_once(place: Place) -> None:
    (tx,) = place.let_in(place.pay())
    assert refusal(place, tx, TxKnown) == "txn-already-in-mempool"
    other = replace(tx, vin=(replace(tx.vin[0], witness=(b"other",)),))
    assert refusal(place, other, TxKnown) == "txn-same-nonwitness-data-in-mempool"


def test_a_transaction_in_a_block_is_known_while_an_output_of_it_is_there(place: Place) -> None:
    tx = place.pay(count=2)
    place.mine(tx)
    assert refusal(place, tx, TxKnown) == "txn-already-known"
    del place.coins[OutPoint(tx.txid, 0)]
    assert refusal(place, tx, TxKnown) == "txn-already-known"
    del place.coins[OutPoint(tx.txid, 1)]
    assert refusal(place, tx, MissingInputs) == "bad-txns-inputs-missingorspent"


# ---------------------------------------------------------------------- standard


@pytest.mark.parametrize("version", [0, 4, 2**32 - 1])
def test_versions_one_to_three_are_standard(place: Place, version: int) -> None:
    assert refusal(place, place.pay(version=version), TxNonstandard) == "version"
    for standard in (1, 2, 3):
        check_fine(place, place.pay(version=standard))


def test_a_standard_transaction_weighs_a_tenth_of_a_block_at_most(place: Place) -> None:
    room = 400_000 - place.pay(padding=70_000).weight
    coin = place.fund()
    at_limit = place.pay(coin, fee=100_000, padding=70_000 + room // 4)
    assert 400_000 - 4 < at_limit.weight <= 400_000
    over = place.pay(coin, fee=100_000, padding=70_000 + room // 4 + 1)
    assert refusal(place, over, TxNonstandard) == "tx-size"
    check_fine(place, at_limit)


def test_a_transaction_of_64_bytes_could_be_taken_for_two_hashes(place: Place) -> None:
    coin = place.fund(value=10_000)
    (txin,) = place.pay(coin).vin

    def with_output(script: bytes) -> Transaction:
        return Transaction(2, (replace(txin, witness=()),), (TxOut(0, script),))

    tiny, enough = with_output(op_return(b"1" * 2)), with_output(op_return(b"1" * 3))
    assert (tiny.stripped_size, enough.stripped_size) == (64, 65)
    assert refusal(place, tiny, TxNonstandard) == "tx-size-small"
    assert place.why_not(enough) != "tx-size-small"
    assert Place(Policy(acceptnonstdtxn=True), place.coins).why_not(tiny) == "tx-size-small"


def bare(script_sig: bytes) -> Lock:
    """A P2SH lock that is opened by whatever this is."""
    return Lock("bare", p2sh(hash160(b"\x51")), lambda _, __: Unlocked(script_sig, ()))


def test_a_script_sig_has_1650_bytes_at_most(place: Place) -> None:
    def opened(size: int) -> Transaction:
        return place.pay(place.fund(bare(push(bytes(size - 5)) + push(b"\x51"))), fee=5_000)

    assert len(opened(1_650).vin[0].script_sig) == 1_650
    assert refusal(place, opened(1_651), TxNonstandard) == "scriptsig-size"
    assert place.why_not(opened(1_650)) != "scriptsig-size"


def test_a_script_sig_pushes_only(place: Place) -> None:
    odd = place.pay(place.fund(bare(bytes((Op.OP_NOP,)) + push(b"\x51"))))
    assert refusal(place, odd, TxNonstandard) == "scriptsig-not-pushonly"
    check_fine(place, place.pay(place.fund(bare(push(b"\x51")))))


@pytest.mark.parametrize(
    "script",
    [
        b"",
        b"\x51",
        push(b"x") + b"\x75\x51",
        multisig(1, [KEY] * 4),
        multisig(2, KEYS)[:-1] + bytes((Op.OP_CHECKMULTISIGVERIFY,)),
        witness_script_pubkey(0, bytes(21)),
        bytes((Op.OP_RETURN, Op.OP_DUP)),
        push(b"\x02" + bytes(31)) + bytes((Op.OP_CHECKSIG,)),
    ],
    ids=lambda script: script.hex()[:20] or "empty",
)
def test_odd_outputs_are_not_standard(place: Place, script: bytes) -> None:
    tx = place.pay(outputs=[TxOut(10_000, script)])
    assert refusal(place, tx, TxNonstandard) == "scriptpubkey"


@pytest.mark.parametrize(
    "script",
    [
        p2pk(KEY),
        p2pkh(bytes(20)),
        p2sh(bytes(20)),
        p2wpkh(bytes(20)),
        p2wsh(bytes(32)),
        p2tr(bytes(32)),
        P2A,
        witness_script_pubkey(16, bytes(40)),
        multisig(1, [KEY]),
        multisig(3, KEYS),
        op_return(b"data"),
        bytes((Op.OP_RETURN,)),
    ],
    ids=lambda script: script.hex()[:20],
)
def test_outputs_with_a_name_are_standard(place: Place, script: bytes) -> None:
    check_fine(place, place.pay(outputs=[TxOut(10_000, script)]))


def test_bare_multisig_is_standard_by_policy() -> None:
    place = Place(Policy(permitbaremultisig=False))
    tx = place.pay(outputs=[TxOut(10_000, multisig(1, KEYS))])
    assert refusal(place, tx, TxNonstandard) == "bare-multisig"
    four = place.pay(outputs=[TxOut(10_000, multisig(1, [KEY] * 4))])
    assert refusal(place, four, TxNonstandard) == "scriptpubkey"


def test_data_outputs_are_limited_together() -> None:
    place = Place(Policy(datacarriersize=20))
    ten = TxOut(0, op_return(b"8 bytes."))
    assert len(ten.script_pubkey) == 10
    over = place.pay(outputs=[ten, ten, TxOut(0, b"\x6a")])
    assert refusal(place, over, TxNonstandard) == "datacarrier"
    check_fine(place, place.pay(outputs=[ten, ten]))
    none = Place(Policy(datacarrier=False))
    assert refusal(none, none.pay(outputs=[TxOut(0, b"\x6a")]), TxNonstandard) == "datacarrier"


def test_one_dust_output_is_standard_but_pays_nothing(place: Place) -> None:
    dust = TxOut(293, p2wpkh(bytes(20)))
    assert dust_threshold(dust.script_pubkey, 3_000) == 294
    assert dust_threshold(p2pkh(bytes(20)), 3_000) == 546
    two = place.pay(fee=0, outputs=[dust, dust])
    assert refusal(place, two, TxNonstandard) == "dust"
    assert refusal(place, place.pay(outputs=[dust]), TxNonstandard) == "dust"
    free = place.pay(fee=0, outputs=[dust])
    assert refusal(place, free, FeeTooLow) == "min relay fee not met"
    check_fine(place, place.pay(outputs=[replace(dust, value=294)]))


def test_a_fee_that_is_only_pretended_makes_dust_nonstandard_too(place: Place) -> None:
    tx = place.pay(fee=0, outputs=[TxOut(0, P2A)])
    place.pool.prioritise(tx.txid, 5_000)
    assert refusal(place, tx, TxNonstandard) == "dust"


def test_nonstandard_transactions_are_let_in_where_policy_says_so() -> None:
    place = Place(Policy(acceptnonstdtxn=True))
    check_fine(place, place.pay(version=4, outputs=[TxOut(0, b"\x51"), TxOut(0, b"\x51")]))
    check_fine(place, place.pay(place.fund(anyone_lock())))


# ---------------------------------------------------------------------- inputs


@pytest.mark.parametrize(
    ("script", "detail"),
    [
        (b"\x51", "input 0 script unknown"),
        (witness_script_pubkey(2, bytes(32)), "input 0 witness program is undefined"),
    ],
    ids=["odd", "version 2"],
)
def test_odd_coins_are_not_spent(place: Place, script: bytes, detail: str) -> None:
    lock = Lock("odd", script, lambda _, __: Unlocked(b"", ()))
    tx = place.pay(place.fund(lock))
    assert refusal(place, tx, InputsNonstandard) == "bad-txns-nonstandard-inputs"
    outcome = place.test(tx)
    assert isinstance(outcome, Refused)
    assert outcome.error.detail == detail


def redeeming(script: bytes, *pushes: bytes) -> Lock:
    script_sig = b"".join(map(push, pushes)) + push(script)
    return Lock("redeem", p2sh(hash160(script)), lambda _, __: Unlocked(script_sig, ()))


def test_a_p2sh_script_has_15_signature_checks_at_most(place: Place) -> None:
    def checks(count: int) -> Transaction:
        script = b"\x51" + bytes((Op.OP_0, Op.OP_IF, *[Op.OP_CHECKSIG] * count, Op.OP_ENDIF))
        return place.pay(place.fund(redeeming(script)))

    assert refusal(place, checks(16), InputsNonstandard) == "bad-txns-nonstandard-inputs"
    check_fine(place, checks(15))


@pytest.mark.parametrize(
    ("script_sig", "detail"),
    [
        (b"", "input 0 P2SH redeemscript missing"),
        (b"\x50", "p2sh scriptsig malformed (input 0: Opcode missing or not understood)"),
    ],
)
def test_a_p2sh_input_shows_a_script(place: Place, script_sig: bytes, detail: str) -> None:
    tx = place.pay(place.fund(bare(script_sig)))
    outcome = place.test(tx)
    assert isinstance(outcome, Refused)
    assert (outcome.reason, outcome.error.detail) == ("bad-txns-nonstandard-inputs", detail)


def test_signature_checks_outside_of_witnesses_are_limited(place: Place) -> None:
    script = b"\x51" + bytes((Op.OP_0, Op.OP_IF, *[Op.OP_CHECKSIG] * 15, Op.OP_ENDIF))
    coins = [place.fund(redeeming(script)) for _ in range(167)]  # 2,505 checks
    over = place.pay(*coins, fee=200_000)
    assert refusal(place, over, InputsNonstandard) == "bad-txns-nonstandard-inputs"
    assert place.why_not(place.pay(*coins[:166], fee=200_000)) is None  # 2,490


def test_signature_checks_cost_a_fifth_of_a_block_at_most(place: Place) -> None:
    twenty = multisig(1, [KEY] * 16)
    lock = Lock("p2wsh", p2wsh(sha256(twenty).digest()), lambda _, __: Unlocked(b"", (twenty,)))

    def checks(*more: TxOut) -> Transaction:
        coins = [place.fund(lock) for _ in range(250)]  # 16 each, 4,000 in all
        outputs = [TxOut(10_000, multisig(1, KEYS)) for _ in range(150)]  # 80 each: 12,000
        return place.pay(*coins, fee=2_000_000, outputs=[*outputs, *more])

    assert refusal(place, checks(TxOut(10_000, p2pk(KEY))), TxNonstandard) == (
        "bad-txns-too-many-sigops"
    )
    assert place.why_not(checks()) != "bad-txns-too-many-sigops"


# ---------------------------------------------------------------------- witnesses


def with_witness(script_pubkey: bytes, *witness: bytes, script_sig: bytes = b"") -> Lock:
    return Lock("witness", script_pubkey, lambda _, __: Unlocked(script_sig, witness))


DROP = bytes((Op.OP_DROP,))


def p2wsh_with(script: bytes, *items: bytes) -> Lock:
    return with_witness(p2wsh(sha256(script).digest()), *items, script)


BLOATED = {
    "anchor": with_witness(P2A, b"x"),
    "legacy": with_witness(p2pkh_lock().script_pubkey, b"x"),
    "legacy in p2sh": with_witness(p2sh(hash160(b"\x51")), b"x", script_sig=push(b"\x51")),
    "nothing in p2sh": with_witness(p2sh(hash160(b"\x51")), b"x"),
    "what fails in p2sh": with_witness(p2sh(hash160(b"\x51")), b"x", script_sig=b"\x50"),
    "script": p2wsh_with(DROP * 3_600 + b"\x51", b""),
    "items": p2wsh_with(DROP * 101 + b"\x51", *[b""] * 101),
    "item": p2wsh_with(DROP + b"\x51", bytes(81)),
    "annex": with_witness(p2tr(bytes(32)), b"x", b"\x50"),
    "no control block": with_witness(p2tr(bytes(32)), b"\x51", b""),
    "tapscript item": with_witness(p2tr(bytes(32)), bytes(81), b"\x75\x51", b"\xc0" + bytes(32)),
}
SLIM = {
    "items": p2wsh_with(DROP * 100 + b"\x51", *[b""] * 100),
    "item": p2wsh_with(DROP + b"\x51", bytes(80)),
    "tapscript item": with_witness(p2tr(bytes(32)), bytes(80), b"\x75\x51", b"\xc0" + bytes(32)),
    "another leaf version": with_witness(p2tr(bytes(32)), bytes(81), b"\x51", b"\xc2" + bytes(32)),
}


@pytest.mark.parametrize("lock", BLOATED.values(), ids=list(BLOATED))
def test_bloated_witnesses_are_not_standard(place: Place, lock: Lock) -> None:
    tx = place.pay(place.fund(lock), fee=10_000)
    assert place.why_not(tx) in {"bad-witness-nonstandard", "bad-txns-nonstandard-inputs"}
    with pytest.raises(WitnessMutated, match="bad-witness-nonstandard"):
        check_witness_standard(tx, list(place.coins.values()))


@pytest.mark.parametrize("lock", SLIM.values(), ids=list(SLIM))
def test_witnesses_within_their_limits_are_standard(place: Place, lock: Lock) -> None:
    tx = place.pay(place.fund(lock), fee=10_000)
    assert place.why_not(tx) != "bad-witness-nonstandard"


def test_an_anchor_is_spent_by_anyone(place: Place) -> None:
    check_fine(place, place.pay(place.fund(with_witness(P2A))))


# ---------------------------------------------------------------------- scripts


def test_a_script_that_fails_is_named_with_its_error(place: Place) -> None:
    coin = place.fund(p2tr_key_lock())
    tx = place.pay(coin)
    other = replace(tx, vout=(replace(tx.vout[0], value=tx.vout[0].value - 1),))
    assert refusal(place, other, TxNonstandard) == (
        "mempool-script-verify-flag-failed (Invalid Schnorr signature)"
    )
    outcome = place.test(other)
    assert isinstance(outcome, Refused)
    assert outcome.error.detail.endswith(f"spending {coin.outpoint}")
    check_fine(place, tx)


@pytest.mark.parametrize(
    "lock", [p2wpkh_lock(), p2wsh_lock(), p2tr_script_lock(), p2sh_p2wpkh_lock()]
)
def test_a_witness_that_was_stripped_may_yet_come(place: Place, lock: Lock) -> None:
    tx = place.pay(place.fund(lock))
    stripped = replace(tx, vin=(replace(tx.vin[0], witness=()),))
    assert "mempool-script-verify-flag-failed" in refusal(place, stripped, WitnessStripped)
    check_fine(place, tx)


def test_a_failing_p2sh_script_was_not_stripped(place: Place) -> None:
    tx = place.pay(place.fund(p2sh_lock()))
    altered = replace(tx, lock_time=1)
    assert "mempool-script-verify-flag-failed" in refusal(place, altered, TxNonstandard)


def test_scripts_are_run_once(place: Place) -> None:
    tx = place.pay()
    place.test(tx)
    assert len(place.pool.scripts) == 1
    place.pool.scripts._verifier = None  # type: ignore[assignment]
    assert isinstance(place.accept(tx), Accepted)


# ---------------------------------------------------------------------- fees and limits


def test_a_transaction_pays_for_being_relayed(place: Place) -> None:
    vsize = place.pay().vsize
    least = -(-vsize * 100 // 1_000)
    coin = place.fund()
    cheap = place.pay(coin, fee=least - 1)
    assert refusal(place, cheap, FeeTooLow) == "min relay fee not met"
    check_fine(place, place.pay(coin, fee=least))


def test_many_signature_checks_count_as_size() -> None:
    place = Place(Policy(bytespersigop=1_000))
    tx = place.pay()
    outcome = place.test(tx)
    assert isinstance(outcome, Accepted)
    assert (tx.vsize, outcome.vsize) == (110, 250)


def test_a_fee_that_is_more_than_meant_is_an_error_of_the_sender(place: Place) -> None:
    tx = place.pay(fee=1_100)
    assert tx.vsize == 110
    outcome = place.pool.accept(tx, place.view, place.now, max_feerate=9_999)
    assert isinstance(outcome, Refused)
    assert (type(outcome.error), outcome.reason) == (PolicyRefused, "max feerate exceeded")
    outcome = place.pool.accept(tx, place.view, place.now, max_feerate=10_000)
    assert isinstance(outcome, Accepted)


def test_a_cluster_has_64_transactions_at_most(place: Place) -> None:
    *fine, last = place.chain_of(65)
    place.let_in(*fine)
    assert refusal(place, last, PolicyRefused) == "too-large-cluster"


def test_a_cluster_that_would_join_two_is_counted_whole() -> None:
    place = Place(Policy(limitclustercount=4))
    one, other = place.let_in(place.chain_of(2)[0], place.chain_of(1)[0])
    place.let_in(place.pay(owned(one)))
    check_fine(place, place.pay(owned(other), count=2))
    assert place.why_not(place.pay(owned(one))) is not None  # replaces, and pays no more
    grand = [entry.tx for entry in place.pool if entry.parents]
    joining = place.pay(owned(grand[0]), owned(grand[1]))
    assert refusal(place, joining, PolicyRefused) == "too-large-cluster"


def test_a_cluster_has_101_000_virtual_bytes_at_most(place: Place) -> None:
    parent = place.pay(fee=100_000, padding=90_000, count=2)
    place.let_in(parent)
    left = 404_000 - parent.weight  # rounded once, for all of them together
    padding = (left - place.pay(owned(parent), padding=5_000).weight) // 4 + 5_000
    at_limit = place.pay(owned(parent), fee=100_000, padding=padding)
    assert left - 4 < at_limit.weight <= left
    over = place.pay(owned(parent), fee=100_000, padding=padding + 1)
    assert refusal(place, over, PolicyRefused) == "too-large-cluster"
    check_fine(place, at_limit)


def test_a_hash_stands_for_no_coin(place: Place) -> None:
    nowhere = OutPoint(Txid(b"\xff" * 32), 0)
    tx = place.pay()
    tx = replace(tx, vin=(*tx.vin, TxIn(nowhere)))
    assert refusal(place, tx, MissingInputs) == "bad-txns-inputs-missingorspent"
