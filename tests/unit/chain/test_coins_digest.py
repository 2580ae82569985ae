"""The digest of all coins, as the reference client's gettxoutsetinfo gives it."""

from hashlib import sha256

import pytest

from drystone.chain import coins_digest as module
from drystone.chain.coins_digest import MuHash, coin_element, coins_digest
from drystone.consensus.chains import REGTEST
from drystone.consensus.coins import Coin
from drystone.consensus.script.taproot import LEAF_VERSION_TAPSCRIPT, tap_leaf_hash
from drystone.consensus.witness_commitment import commitment_script
from drystone.crypto import chacha20
from drystone.crypto.address import script_from_address
from drystone.crypto.secp256k1 import tap_tweak, tweak_public_key
from drystone.primitives.amount import COIN
from drystone.primitives.hashes import Txid, display
from drystone.primitives.merkle import merkle_root
from drystone.primitives.script import p2tr, push_int
from drystone.primitives.transaction import NULL_OUTPOINT, OutPoint, Transaction, TxIn, TxOut

OP_TRUE = b"\x51"
REWARD = 50 * COIN


def element(n: int) -> bytes:
    """As the reference client's unit test has them."""
    return bytes((n,)) + bytes(31)


def coins(count: int) -> list[tuple[OutPoint, Coin]]:
    """Of different kinds."""
    return [
        (
            OutPoint(Txid(sha256(b"%d" % n).digest()), n),
            Coin(TxOut(n * COIN, bytes(n % 300)), n // 2, is_coinbase=n % 2 == 0),
        )
        for n in range(count)
    ]


def test_the_digest_of_a_set_is_the_reference_clients() -> None:
    """Core: muhash_tests in src/test/crypto_tests.cpp."""
    digest = MuHash()
    digest.insert([element(0), element(1)])
    digest.remove([element(2)])
    expected = "10d312b100cbd32ada024a6646e40d3482fcff103668d2625f10002a607d5863"
    assert display(digest.digest()) == expected


def test_a_coin_is_laid_out_as_the_reference_client_does() -> None:
    """Core: TxOutSer. The amount is 50 BTC, as in every block explorer: 00f2052a01000000."""
    outpoint = OutPoint(Txid(bytes(range(32))), 258)
    coin = Coin(TxOut(REWARD, OP_TRUE * 253), 0x01020304, is_coinbase=True)
    assert coin_element(outpoint, coin) == (
        bytes(range(32))
        + bytes.fromhex("02010000" + "09060402" + "00f2052a01000000" + "fdfd00")
        + OP_TRUE * 253
    )


# What the reference client's feature_utxo_set_hash.py leaves on regtest: a block that pays to a
# wallet whose coins OP_TRUE spends, 99 that pay to the node's own key, and one with a payment of
# that wallet to itself. No block's hash or time goes into a coin, so the digest is the same on each
# run. It changed with the coinbases: those of newer releases are locked to their height, and have
# no OP_0 where they can do without.

NODE = script_from_address("mjTkW3DjgyZck4KbiRusZsqTgaYTxdSz6z", REGTEST.address)
INTERNAL_KEY = (1).to_bytes(32, "big")
LEAF_HASH = tap_leaf_hash(OP_TRUE)
OUTPUT_KEY, PARITY = tweak_public_key(INTERNAL_KEY, tap_tweak(INTERNAL_KEY, LEAF_HASH))
WALLET = p2tr(OUTPUT_KEY)
FEE = 31_200  # 0.003 BTC for each 1,000 of 104 virtual bytes


def core_coinbase(height: int, script: bytes, witness_root: bytes, *, newer: bool) -> Transaction:
    """The reference client's coinbase. Core: CreateNewBlock."""
    padding = b"" if newer and height > 16 else b"\0"
    sequence = 0xFFFFFFFE if newer else 0xFFFFFFFF
    outputs = (TxOut(REWARD, script), TxOut(0, commitment_script(witness_root, bytes(32))))
    txin = TxIn(NULL_OUTPOINT, push_int(height) + padding, sequence)
    return Transaction(2, (txin,), outputs, height - 1 if newer else 0)


def coins_of_the_functional_test(*, newer: bool) -> list[tuple[OutPoint, Coin]]:
    """In the order in which they were made."""
    no_payments = merkle_root([bytes(32)])[0]
    first = core_coinbase(1, WALLET, no_payments, newer=newer)
    control_block = bytes((LEAF_VERSION_TAPSCRIPT | PARITY,)) + INTERNAL_KEY
    txin = TxIn(OutPoint(first.txid, 0), sequence=0, witness=(OP_TRUE, control_block))
    payment = Transaction(2, (txin,), (TxOut(REWARD - FEE, WALLET),))
    with_payment = merkle_root([bytes(32), payment.wtxid])[0]
    made = [(h, core_coinbase(h, NODE, no_payments, newer=newer)) for h in range(2, 101)]
    made += [(101, core_coinbase(101, WALLET, with_payment, newer=newer)), (101, payment)]
    return [(OutPoint(tx.txid, 0), Coin(tx.vout[0], height, tx.is_coinbase)) for height, tx in made]


@pytest.mark.parametrize(
    ("newer", "expected"),
    [
        (True, "97f341d4226cb4451dd9da2856759fb97659cfc238a0b8d5452e64af6032bd3d"),
        (False, "d1725b2fe3ef43e55aa4907480aea98d406fc9e0bf8f60169e2305f1fbf5961b"),
    ],
)
def test_the_coins_of_a_regtest_chain_have_the_reference_clients_digest(
    *, newer: bool, expected: str
) -> None:
    assert display(coins_digest(coins_of_the_functional_test(newer=newer))) == expected


def test_no_coins_have_the_digest_of_the_number_one() -> None:
    one = sha256((1).to_bytes(384, "little")).digest()
    assert coins_digest([]) == MuHash().digest() == one


def test_order_does_not_matter_but_every_field_does() -> None:
    some = coins(20)
    digest = coins_digest(iter(some))
    assert coins_digest(some[::-1]) == digest
    outpoint, coin = some[7]
    others = [
        (OutPoint(outpoint.txid, outpoint.vout + 1), coin),
        (OutPoint(Txid(bytes(32)), outpoint.vout), coin),
        (outpoint, coin._replace(height=coin.height + 1)),
        (outpoint, coin._replace(is_coinbase=not coin.is_coinbase)),
        (outpoint, coin._replace(output=TxOut(0, coin.output.script_pubkey))),
        (outpoint, coin._replace(output=TxOut(coin.output.value, b""))),
    ]
    digests = {coins_digest([*some[:7], other, *some[8:]]) for other in others}
    assert len(digests) == len(others) and digest not in digests


def test_more_coins_than_are_taken_at_once_are_all_counted() -> None:
    many = coins(2 * module._AT_ONCE + 1)
    digest = MuHash()
    for outpoint, coin in many:
        digest.insert([coin_element(outpoint, coin)])
    assert coins_digest(many) == digest.digest()


def test_the_digest_is_the_same_without_the_native_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    digest = coins_digest(coins(50))
    monkeypatch.setattr(module, "keystreams", chacha20.keystreams)
    assert coins_digest(coins(50)) == digest


def test_asking_for_the_digest_changes_nothing() -> None:
    digest = MuHash()
    digest.insert([b"a", b""])
    digest.remove([b"b"])
    first = digest.digest()
    assert digest.digest() == first
    digest.insert([b"b"])
    digest.remove([b"a", b""])
    assert digest.digest() == MuHash().digest()
