"""What the coinbase of a block to come looks like, byte for byte."""

import pytest

from drystone.consensus.transaction import check_transaction
from drystone.mining.coinbase import EXTRANONCES, make_coinbase
from drystone.primitives.hashes import Wtxid
from drystone.primitives.script import p2wpkh, parse_script
from drystone.primitives.transaction import TxOut

REWARD = 50 * 100_000_000
PAID = p2wpkh(bytes(range(20)))

# The commitment of a block without other transactions, which every block explorer knows by sight.
EMPTY = "6a24aa21a9ede2f61c3f71d1defd3fa999dfa36953755c690689799962b48bebd836974e8cf9"


@pytest.mark.parametrize(
    ("height", "script_sig", "lock_time"),
    [
        (1, "025100", "00000000"),
        (16, "026000", "0f000000"),
        (17, "03011100", "10000000"),
        (127, "03017f00", "7e000000"),
        (128, "0402800000", "7f000000"),  # a byte more, for the sign
        (500_000, "050320a10700", "1fa10700"),
    ],
)
def test_it_is_what_the_reference_client_makes(
    height: int, script_sig: str, lock_time: str
) -> None:
    made = make_coinbase(height, REWARD, PAID).transaction()
    assert made.encode().hex() == (
        "02000000" + "0001"
        "01" + "00" * 32 + "ffffffff" + script_sig + "feffffff"
        "02"
        "00f2052a01000000" + "16" + PAID.hex() + "0000000000000000" + "26" + EMPTY + "01"
        "20" + "00" * 32 + lock_time
    )
    check_transaction(made)


def test_each_extra_nonce_makes_another() -> None:
    coinbase = make_coinbase(500_000, REWARD, PAID)
    extranonces = [*range(300), 2**32, EXTRANONCES - 1]
    made = [coinbase.transaction(extranonce) for extranonce in extranonces]
    assert len({tx.txid for tx in made}) == len(made)
    for tx in made:
        check_transaction(tx)
        assert len(list(parse_script(tx.vin[0].script_sig))) == 2
        assert tx.weight <= coinbase.max_weight
    assert made[-1].weight == coinbase.max_weight


@pytest.mark.parametrize("extranonce", [-1, EXTRANONCES])
def test_an_extra_nonce_out_of_range_is_refused(extranonce: int) -> None:
    with pytest.raises(ValueError, match="an extra nonce is from 0"):
        make_coinbase(1, REWARD, PAID).transaction(extranonce)


def test_further_outputs_share_the_reward() -> None:
    shares = [TxOut(REWARD - 7, b"\x52"), TxOut(0, b"\x6a\x01x")]
    coinbase = make_coinbase(1, REWARD, PAID, outputs=shares)
    assert coinbase.outputs[:3] == (TxOut(7, PAID), *shares)
    assert make_coinbase(1, REWARD - 7, PAID, outputs=shares).outputs[0] == TxOut(0, PAID)
    with pytest.raises(ValueError, match=f"outputs of {REWARD - 7} satoshis, the reward is 5$"):
        make_coinbase(1, 5, PAID, outputs=shares)


def test_it_commits_to_the_witnesses_of_the_others() -> None:
    one, other = Wtxid(b"1" * 32), Wtxid(b"2" * 32)
    made = {
        make_coinbase(1, REWARD, PAID, wtxids=w).outputs[-1] for w in ((), (one,), (one, other))
    }
    assert len(made) == 3


def test_before_segwit_there_is_no_reserved_value() -> None:
    made = make_coinbase(1, REWARD, PAID, is_segwit_active=False).transaction()
    assert not made.has_witness
    assert made.vout[1].script_pubkey.hex() == EMPTY
