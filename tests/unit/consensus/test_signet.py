"""Blocks that satisfy a challenge (BIP325): real ones, and our own."""

from dataclasses import replace

import pytest
from tests.support.signet_blocks import ONE_OF_ONE, SECRET, signed, with_push

from drystone.consensus.chains import MAINNET, SIGNET, signet, variant
from drystone.consensus.errors import BlockInvalid
from drystone.consensus.params import Params
from drystone.consensus.script.sighash import SignatureHashes
from drystone.consensus.signet import (
    HEADER,
    check_signet_solution,
    encode_solution,
    signet_transactions,
)
from drystone.consensus.witness_commitment import COMMITMENT_PREFIX
from drystone.crypto.secp256k1 import public_key, sign_ecdsa
from drystone.primitives.block import Block, BlockHeader
from drystone.primitives.codec import Malformed, Truncated
from drystone.primitives.hashes import NULL_HASH, BlockHash, display
from drystone.primitives.opcodes import Op
from drystone.primitives.script import op_return, p2wpkh, push
from drystone.primitives.transaction import NULL_OUTPOINT, Transaction, TxIn, TxOut

# Block 1 of the public signet. Source: any of its nodes, such as
# https://mempool.space/signet/api/block/<hash>/raw
SIGNET_BLOCK_1 = bytes.fromhex(
    "00000020f61eee3b63a380a477a063af32b2bbc97c9ff9f01f2c4225e973988108000000"
    "f575c83235984e7dc4afc1f30944c170462e84437ab6f2d52e16878a79e4678bd1914d5f"
    "ae77031eccf4070001010000000001010000000000000000000000000000000000000000"
    "000000000000000000000000ffffffff025151feffffff0200f2052a0100000016001492"
    "43f727dd5343293eb83174324019ec16c2630f0000000000000000776a24aa21a9ede2f6"
    "1c3f71d1defd3fa999dfa36953755c690689799962b48bebd836974e8cf94c4fecc7daa2"
    "490047304402205e423a8754336ca99dbe16509b877ef1bf98d008836c725005b3c787c4"
    "1ebe46022047246e4467ad7cc7f1ad98662afcaf14c115e0095a227c7b05c5182591c23e"
    "7e0100012000000000000000000000000000000000000000000000000000000000000000"
    "0000000000"
)


def test_block_1_of_the_public_signet_is_signed() -> None:
    block = Block.from_bytes(SIGNET_BLOCK_1)
    assert display(block.hash) == "00000086d6b2636cb2a392d45edc4ec544a10024d30141c9adf4bfd9de533b53"
    check_signet_solution(block, SIGNET)


@pytest.mark.parametrize("position", range(4, 72, 3))
def test_its_signature_is_for_nothing_else(position: int) -> None:
    """Version, previous hash and time; the merkle root is that of the transactions."""
    header = bytearray(SIGNET_BLOCK_1[:80])
    header[position] ^= 1
    block = Block.from_bytes(bytes(header) + SIGNET_BLOCK_1[80:])
    if 36 <= position < 68:
        check_signet_solution(block, SIGNET)
    else:
        assert_refused(block, SIGNET)


def test_nonce_target_and_coinbase_witness_are_not_signed() -> None:
    block = Block.from_bytes(SIGNET_BLOCK_1)
    check_signet_solution(replace(block, header=replace(block.header, nonce=1, bits=2)), SIGNET)
    coinbase = replace(block.coinbase, vin=(replace(block.coinbase.vin[0], witness=()),))
    check_signet_solution(replace(block, vtx=(coinbase,)), SIGNET)


def test_another_challenge_is_not_satisfied() -> None:
    assert_refused(Block.from_bytes(SIGNET_BLOCK_1), signet(ONE_OF_ONE, "ours"))


def test_genesis_needs_no_signature_and_other_chains_none_at_all() -> None:
    check_signet_solution(SIGNET.genesis, SIGNET)
    check_signet_solution(Block.from_bytes(SIGNET_BLOCK_1), MAINNET)
    unlike = variant(SIGNET, "other-genesis", genesis=MAINNET.genesis)
    assert_refused(SIGNET.genesis, unlike)


# Our own.


def unsigned_block(*more_pushes: bytes, vtx: tuple[Transaction, ...] = ()) -> Block:
    """With a commitment to which pushes are added."""
    commitment = COMMITMENT_PREFIX + bytes(32) + b"".join(map(push, more_pushes))
    coinbase = Transaction(
        version=2,
        vin=(TxIn(NULL_OUTPOINT, b"\x51\x51", witness=(bytes(32),)),),
        vout=(TxOut(50, b"\x51"), TxOut(0, commitment), TxOut(0, op_return(b"something"))),
    )
    header = BlockHeader(0x20000000, BlockHash(bytes(32)), NULL_HASH, 1_600_000_000, 0x1E0377AE, 0)
    return Block(header, (coinbase, *vtx))


def assert_refused(block: Block, params: Params) -> None:
    with pytest.raises(BlockInvalid) as caught:
        check_signet_solution(block, params)
    assert caught.value.reason == "bad-signet-blksig"


PAYMENT = Transaction(2, (TxIn(NULL_OUTPOINT._replace(vout=0)),), (TxOut(1, b"\x51"),))


@pytest.mark.parametrize("vtx", [(), (PAYMENT,), (PAYMENT, replace(PAYMENT, lock_time=1))])
def test_a_block_is_signed_under_a_challenge_of_our_own(vtx: tuple[Transaction, ...]) -> None:
    params = signet(ONE_OF_ONE, "ours")
    block = signed(unsigned_block(HEADER, vtx=vtx))
    check_signet_solution(block, params)
    assert_refused(replace(block, vtx=(*block.vtx, replace(PAYMENT, lock_time=9))), params)
    coinbase = replace(block.coinbase, vout=(TxOut(51, b"\x51"), *block.coinbase.vout[1:]))
    assert_refused(replace(block, vtx=(coinbase, *block.vtx[1:])), params)


def test_a_witness_can_be_the_answer() -> None:
    """Pay-to-witness-public-key-hash as a challenge."""
    from drystone.crypto.ripemd160 import hash160
    from drystone.primitives.script import p2pkh

    key = public_key(SECRET)
    challenge = p2wpkh(hash160(key))
    block = unsigned_block(HEADER)
    to_spend, to_sign = signet_transactions(block, challenge)
    script_code = p2pkh(hash160(key))
    digest = SignatureHashes(to_sign, to_spend.vout).witness_v0(0, script_code, 1)
    witness = (sign_ecdsa(SECRET, digest) + b"\1", key)
    block = with_push(block, encode_solution(b"", witness))
    check_signet_solution(block, signet(challenge, "ours"))
    assert_refused(
        with_push(unsigned_block(HEADER), encode_solution(b"", (b"", key))),
        signet(challenge, "ours"),
    )


def test_a_trivial_challenge_wants_no_answer() -> None:
    params = signet(b"\x51", "anybody")
    check_signet_solution(unsigned_block(), params)
    check_signet_solution(unsigned_block(HEADER), params)
    check_signet_solution(unsigned_block(HEADER + encode_solution(b"", ())[4:]), params)


def test_without_a_commitment_nothing_can_be_signed() -> None:
    params = signet(b"\x51", "anybody")
    block = unsigned_block()
    coinbase = replace(block.coinbase, vout=block.coinbase.vout[:1])
    assert_refused(replace(block, vtx=(coinbase,)), params)
    assert_refused(replace(block, vtx=()), params)
    with pytest.raises(Malformed):
        signet_transactions(replace(block, vtx=()), b"\x51")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"\0\0\0", Malformed),  # something after the witness
        (b"\0", Truncated),
        (b"\1", Truncated),
        (b"\0\1", Truncated),
        (b"\0\xfd\xff\xff", Truncated),
        (b"\xfd\1\0", Malformed),  # a length longer than it needs to be
        (b"\0\xfe\xff\xff\xff\xff", Malformed),
    ],
)
def test_an_answer_that_can_not_be_read_is_refused(answer: bytes, error: type[Exception]) -> None:
    block = unsigned_block(HEADER + answer)
    with pytest.raises(error):
        signet_transactions(block, b"\x51")
    assert_refused(block, signet(b"\x51", "anybody"))


def test_only_the_first_push_with_the_header_and_more_is_the_answer() -> None:
    first, second = encode_solution(b"\x51", ()), encode_solution(b"\x52", ())
    to_sign = signet_transactions(unsigned_block(HEADER, first, second), b"\x51")[1]
    assert to_sign.vin[0].script_sig == b"\x51"


def test_what_is_signed_is_the_block_without_its_answer() -> None:
    answers = [encode_solution(b"", ()), encode_solution(b"\x51", (b"a", b"bc"))]
    blocks = [unsigned_block(HEADER), *(unsigned_block(answer) for answer in answers)]
    assert len({signet_transactions(block, b"\x51")[0].txid for block in blocks}) == 1


def test_an_answer_has_the_script_written_anew() -> None:
    """A longer push becomes the shortest, and an empty one loses its length: as the reference
    client does it, so that both sign the same."""
    answer = encode_solution(b"\x51", ())
    block = unsigned_block()
    script = block.coinbase.vout[1].script_pubkey

    def to_spend(tail: bytes) -> bytes:
        output = TxOut(0, script + tail)
        coinbase = replace(block.coinbase, vout=(output,))
        return signet_transactions(replace(block, vtx=(coinbase,)), b"\x51")[0].txid

    plain = push(answer)
    assert to_spend(plain) == to_spend(bytes((Op.OP_PUSHDATA1, len(answer))) + answer)
    assert to_spend(plain) == to_spend(plain + b"\x05abc")  # ends where it can't be read
    assert to_spend(plain + b"\x4c") == to_spend(plain)
    assert to_spend(plain + b"\x4c\0") != to_spend(plain)
    unanswered = b"\x05abc"
    assert to_spend(unanswered) != to_spend(b"")
