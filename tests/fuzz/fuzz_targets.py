"""What the fuzzer runs: each target takes any bytes and must come back.

Whatever it raises is a mistake of ours. Targets know nothing of the fuzzer, so that what it finds
is replayed by an ordinary test.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from hashlib import sha256
from typing import Final, NamedTuple

from tests.support.branches import Branches
from tests.support.node import Bench, Talker

from drystone.consensus.block import check_block, contextual_check_block
from drystone.consensus.chains import MAINNET, REGTEST, SIGNET
from drystone.consensus.coins import Coin
from drystone.consensus.connect import connect_block
from drystone.consensus.errors import Rejected
from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.consensus.script.flags import Flags
from drystone.consensus.script.sigops import count_sigops, p2sh_sigops, witness_sigops
from drystone.consensus.script.taproot import LEAF_VERSION_TAPSCRIPT, tap_leaf_hash
from drystone.consensus.script.verify import Spend, verify_batch_of_scripts, verify_scripts
from drystone.consensus.signet import check_signet_solution
from drystone.consensus.transaction import check_transaction
from drystone.consensus.verifier import SignatureCheck, verify_one_by_one
from drystone.crypto import base58, bech32
from drystone.crypto.address import (
    AddressError,
    address_from_script,
    script_from_address,
    secret_from_wif,
    wif_from_secret,
)
from drystone.crypto.bech32 import Checksum
from drystone.crypto.ripemd160 import hash160
from drystone.crypto.secp256k1 import tap_tweak, tweak_public_key, x_only_public_key
from drystone.mempool.chainview import ChainView
from drystone.mempool.dump import read_dump
from drystone.mempool.outcomes import Accepted
from drystone.mempool.policy import Policy
from drystone.mempool.pool import Mempool
from drystone.mempool.script_cache import ScriptCache
from drystone.node.connection import MAX_HELD_BYTES
from drystone.node.events import Closed, Paused, Resumed
from drystone.node.serving import MAX_UNSERVED
from drystone.p2p.framing import V1Transport
from drystone.p2p.messages import MESSAGES, decode_message
from drystone.primitives.block import Block, BlockHeader, BlockLocator
from drystone.primitives.codec import DecodeError, Malformed, Reader
from drystone.primitives.hashes import Txid
from drystone.primitives.merkleblock import PartialMerkleTree
from drystone.primitives.script import (
    ScriptOp,
    decode_number,
    disassemble,
    encode_number,
    is_push_only,
    is_unspendable,
    p2sh,
    p2tr,
    p2wpkh,
    p2wsh,
    parse_script,
    push,
    push_int,
    witness_program,
    witness_script_pubkey,
)
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut

Target = Callable[[bytes], None]


# Decoders.


def transaction(data: bytes) -> None:
    """What decodes, encodes to the same bytes; the rules accept or refuse it."""
    try:
        tx = Transaction.from_bytes(data)
    except DecodeError:
        return
    assert tx.encode() == data
    assert tx.total_size == len(data) >= tx.stripped_size == len(tx.encode_stripped())
    assert tx == Transaction(tx.version, tx.vin, tx.vout, tx.lock_time)
    assert (bytes(tx.txid) == tx.wtxid) is not tx.has_witness
    assert 3 * tx.stripped_size + len(data) == tx.weight <= 4 * tx.vsize
    with suppress(Rejected):
        check_transaction(tx)


_HEIGHT = 200
_UNSOLVED = replace(
    REGTEST, pow_assumed=True, bip34_height=_HEIGHT + 1, bip34_hash=REGTEST.genesis_hash
)
_UNSOLVED_SIGNET = replace(SIGNET, pow_assumed=True)


def block(data: bytes) -> None:
    """What decodes, encodes to the same bytes; the rules accept or refuse it, to the last."""
    try:
        decoded = Block.from_bytes(data)
    except DecodeError:
        return
    assert decoded.encode() == data
    assert decoded.total_size == len(data)
    assert decoded == Block(BlockHeader.from_bytes(data[:80]), decoded.vtx)
    with suppress(Rejected):
        check_signet_solution(decoded, _UNSOLVED_SIGNET)
    fixed = replace(decoded, header=replace(decoded.header, merkle_root=decoded.merkle_root()[0]))
    try:
        check_block(fixed, _UNSOLVED)
    except Rejected:
        return
    with suppress(Rejected):
        contextual_check_block(fixed, height=_HEIGHT, previous_median_time=0, params=_UNSOLVED)
    with suppress(Rejected):
        change = connect_block(
            fixed,
            _Plenty(),
            height=_HEIGHT,
            median_time_at=lambda height: 600 * height,
            params=_UNSOLVED,
            bip34_ancestor=_UNSOLVED.bip34_hash,
        )
        assert all(outpoint not in change.created for outpoint in change.spent)


class _Plenty:
    """A coin wherever one is looked for: of a kind and an age that its outpoint tells."""

    scripts = (
        b"\x51",
        p2sh(hash160(b"\x51")),
        p2wsh(sha256(b"\x51").digest()),
        p2tr(bytes(32)),
        b"",
    )

    def get(self, outpoint: OutPoint, /) -> Coin:
        kind, age = outpoint.txid[0], outpoint.txid[1]
        script = self.scripts[kind % len(self.scripts)]
        return Coin(TxOut(outpoint.vout, script), _HEIGHT - age % _HEIGHT, kind >= 0x80)


def message_parts(data: bytes) -> None:
    """Partial merkle trees and locators: the same, and a tree proves something or is refused."""
    with suppress(DecodeError):
        locator = BlockLocator.decode(Reader(data))
        assert BlockLocator.decode(Reader(locator.encode())) == locator
    with suppress(DecodeError):
        tree = PartialMerkleTree.decode(Reader(data))
        assert PartialMerkleTree.decode(Reader(tree.encode())) == tree
        tree.extract()


def mempool(data: bytes) -> None:
    """Transactions one after the other are let in or refused, and so is what a dump has of them.

    Testing tells what letting in will do, and a block of all that got in empties the mempool.
    """
    view = ChainView(_Plenty(), _HEIGHT, 600 * _HEIGHT, lambda height: 600 * height)
    now = 600 * _HEIGHT
    for policy in (Policy(), Policy(acceptnonstdtxn=True, minrelaytxfee=0)):
        pool = Mempool(REGTEST, policy, scripts=ScriptCache(Whim()))
        for tx in _transactions(data):
            is_fine = isinstance(pool.test(tx, view, now), Accepted)
            assert isinstance(pool.accept(tx, view, now), Accepted) is is_fine
        entries = [entry.tx for chunk in pool.chunks() for entry in chunk.entries]
        assert len(entries) == len(pool) == len(set(entries))
        kept = read_dump(pool.dump().encode(data[:8].ljust(8)))
        assert [saved.tx for saved in kept.transactions] == entries
        pool.restore(read_dump(data), view, now)
        left = tuple(entry.tx for entry in pool)
        pool.follow(view, now, connected=[Block(REGTEST.genesis.header, left)])
        assert not len(pool) and not pool.usage_bytes


def _transactions(data: bytes) -> Iterator[Transaction]:
    """As many as follow each other."""
    r = Reader(data)
    with suppress(DecodeError):
        while r.left:
            yield Transaction.decode(r)


# Scripts as bytes.


def message(data: bytes) -> None:
    """The first byte names a command, the others are its payload; all of them are a stream, too."""
    if data:
        command = sorted(MESSAGES)[data[0] % len(MESSAGES)]
        with suppress(DecodeError):
            decoded = decode_message(command, data[1:])
            assert decode_message(command, decoded.encode()) == decoded
    whole, cut = V1Transport(REGTEST.magic), V1Transport(REGTEST.magic)
    half = len(data) // 2
    assert whole.receive(data) == cut.receive(data[:half]) + cut.receive(data[half:])


class NodeScript(NamedTuple):
    """What peers of a node do, a step at a time, as the bytes of `node` have it."""

    steps: tuple[tuple[int, bytes], ...]  # 4 times what is done, plus who; and with which bytes

    def encode(self) -> bytes:
        """A byte that says what, and the bytes after their length."""
        return b"".join(
            bytes((what,)) + (b"\xff" + len(data).to_bytes(2, "little") + data)
            for what, data in self.steps
        )


FRAMED, RAW, COME_OR_GO, PASS = range(4)
_PEERS: Final = 4


def node(data: bytes) -> None:
    """Peers come, say anything, stop reading, and go; nothing is raised, and nothing is kept."""
    bench = Bench(replace(REGTEST, pow_assumed=True), blocks=_branch(), unix_s=_NODE_TIME)
    peers = [bench.peer() for _ in range(_PEERS)]
    feed = _Feed(data)
    commands = sorted(MESSAGES)
    while feed.data:
        what, which = divmod(feed.number(1), _PEERS)  # as a script has it: 4 * what + who
        payload = feed.some()
        peer = peers[which]
        if peer.closed is not None:
            peer = peers[which] = bench.peer(inbound=bool(which % 2))
        what %= 4
        if what == FRAMED:
            peer.send_payload(commands[payload[0] % len(commands)] if payload else "", payload[1:])
        elif what == RAW and payload:
            peer.send_bytes(payload)
        elif what == COME_OR_GO:
            _come_or_go(bench, peer, payload)
        elif what == PASS:
            bench.pass_(int.from_bytes(payload[:2], "little") / 10)
        for conn in bench.node.peers.values():
            assert conn.held_bytes <= MAX_HELD_BYTES and len(conn.unserved) <= MAX_UNSERVED
        assert bench.wake_at is None or bench.wake_at >= bench.now_ns
        assert not bench.chain.tip.is_failed
    for number in list(bench.node.peers):
        bench.handle(Closed(number))
    assert not len(bench.node.blocks.download) and not len(bench.node.blocks.partial)
    assert not len(bench.node.transactions.orphans)


def _come_or_go(bench: Bench, peer: Talker, how: bytes) -> None:
    if how[:1] == b"\1":
        bench.handle(Paused(peer.number))
    elif how[:1] == b"\2":
        bench.handle(Resumed(peer.number))
    elif how[:1] == b"\3":
        peer.hang_up()
    else:
        silent = Talker(bench, len(bench.peers) + 1)
        silent.send_bytes(how)


@cache
def _branch() -> list[Block]:
    """The node's chain."""
    branches = Branches()
    return branches.grow(branches.genesis, 3)


_NODE_TIME: Final = REGTEST.genesis.header.time + 10_000


def script(data: bytes) -> None:
    """All ways of taking a script apart agree, and none of them fails."""
    operations = list(_operations(data))
    starts = [0, *(op.end for op in operations)]
    assert [data[start] for start in starts[: len(operations)]] == [op.opcode for op in operations]
    assert starts == sorted(set(starts))
    is_whole = starts[-1] == len(data)
    assert ("[error]" in disassemble(data)) is not is_whole
    assert len(disassemble(data).split()) == len(operations) + (not is_whole)
    assert not is_push_only(data) or is_whole
    is_unspendable(data)
    assert count_sigops(data, accurate=True) <= count_sigops(data, accurate=False)
    program = witness_program(data)
    assert program is None or witness_script_pubkey(*program) == data
    number = decode_number(data)
    assert decode_number(encode_number(number)) == number
    assert len(encode_number(number)) <= len(data)
    assert next(parse_script(push_int(number))).end == len(push_int(number))
    assert [op.data for op in parse_script(push(data))] == [data]


def _operations(script: bytes) -> Iterator[ScriptOp]:
    with suppress(Malformed):
        yield from parse_script(script)


# Addresses.


def address(data: bytes) -> None:
    """Text is an address and is given back, or is refused; every script's address leads to it.

    The first byte chooses: the rest is text, or what a right checksum is put to.
    """
    kind, rest = data[:1], data[1:]
    if kind == b"\1":
        text = base58.encode_check(rest)
        assert base58.decode_check(text, len(rest)) == rest
    elif kind in (b"\2", b"\3"):
        values = [byte & 31 for byte in rest[:80]]
        checksum = Checksum.BECH32 if kind == b"\2" else Checksum.BECH32M
        text = bech32.encode(MAINNET.address.segwit, values, checksum)
    else:
        text = rest.decode("utf-8", errors="replace")
    for prefixes in (MAINNET.address, REGTEST.address):
        try:
            paid = script_from_address(text, prefixes)
        except AddressError:
            pass
        else:
            assert address_from_script(paid, prefixes) in (text, text.lower())
        try:
            secret, compressed = secret_from_wif(text, prefixes)
        except AddressError:
            pass
        else:
            assert wif_from_secret(secret, prefixes, compressed=compressed) == text
        shown = address_from_script(rest, prefixes)
        assert shown is None or script_from_address(shown, prefixes) == rest


# The interpreter.


class Whim:
    """A verifier for whom a signature is valid if its last byte is odd: so both can be reached."""

    def ecdsa(self, _public_key: bytes, _digest: bytes, signature: bytes, /) -> bool:
        """By the last byte before the hash type."""
        return bool(signature) and signature[-1] & 1 == 1

    def schnorr(self, _public_key: bytes, _digest: bytes, signature: bytes, /) -> bool:
        """By the last byte."""
        return signature[-1] & 1 == 1


_WHIM = Whim()
_ALL_FLAGS = (1 << 21) - 1
_INTERNAL_KEY = x_only_public_key(sha256(b"internal key").digest())
_OTHERS = OutPoint(Txid(bytes(32)), 7)
_SHAPES: Final = 7


def interpreter(data: bytes) -> None:
    """Any scripts and witness, under any flags: valid, or the one declared error.

    The verdict is the same whether signatures are checked at once or in a batch, and what is valid
    under some flags is valid under fewer.

    ```
    shape (1) | flags (4) | fewer flags (4) | version, sequence, lock time (2 each)
      | script_sig | elements of the witness, their number first | script: what is left
    ```
    """
    feed = _Feed(data)
    shape = feed.number(1) % _SHAPES
    flags, fewer = _flags(feed.number(4)), feed.number(4)
    version, sequence, lock_time = feed.number(2) & 3, feed.number(2), feed.number(2)
    script_sig = feed.some()
    witness = [feed.some() for _ in range(feed.number(1) & 15)]
    script = feed.left()
    txin, script_pubkey = _shaped(shape, script_sig, witness, script)
    txin = replace(txin, sequence=sequence | (sequence & 0x8000) << 16)
    spent = [TxOut(1000, script_pubkey), TxOut(2000, b"\x51")]
    tx = Transaction(version, (txin, TxIn(_OTHERS)), (TxOut(900, script),), lock_time)
    error = _verdict(tx, spent, flags)
    assert _verdict_of_batch(tx, spent, flags) == error
    if error is ScriptError.OK:
        assert _verdict(tx, spent, _flags(flags.value & fewer)) is ScriptError.OK
    p2sh_sigops(txin.script_sig, script_pubkey)
    witness_sigops(txin.script_sig, script_pubkey, txin.witness, flags)


def _flags(value: int) -> Flags:
    """Any flags that may go together."""
    flags = Flags(value & _ALL_FLAGS)
    if Flags.CLEANSTACK in flags:
        flags |= Flags.WITNESS
    if Flags.WITNESS in flags:
        flags |= Flags.P2SH
    return flags


def _shaped(
    shape: int, script_sig: bytes, witness: list[bytes], script: bytes
) -> tuple[TxIn, bytes]:
    """The input and the output script such that the script is reached."""
    if shape == 1:
        script_sig, script_pubkey = script_sig + push(script), p2sh(hash160(script))
    elif shape == 2:
        witness, script_pubkey = [*witness, script], p2wsh(sha256(script).digest())
    elif shape == 3:
        program = p2wsh(sha256(script).digest())
        witness, script_sig, script_pubkey = (
            [*witness, script],
            push(program),
            p2sh(hash160(program)),
        )
    elif shape == 4:
        tweak = tap_tweak(_INTERNAL_KEY, tap_leaf_hash(script))
        output_key, parity = tweak_public_key(_INTERNAL_KEY, tweak)
        control_block = bytes((LEAF_VERSION_TAPSCRIPT | parity,)) + _INTERNAL_KEY
        witness, script_pubkey = [*witness, script, control_block], p2tr(output_key)
    elif shape == 6:
        witness, script_pubkey = [*witness, script], p2wpkh(hash160(script))
    elif shape == 5 and script:
        script_pubkey = witness_script_pubkey(script[0] % 17, script[1:41])
    else:
        script_pubkey = script
    return TxIn(_OTHERS._replace(vout=1), script_sig, 0, tuple(witness)), script_pubkey


def _verdict(tx: Transaction, spent: Sequence[TxOut], flags: Flags) -> ScriptError:
    try:
        verify_scripts(tx, spent, flags, _WHIM)
    except ScriptInvalid as invalid:
        return invalid.error
    return ScriptError.OK


def _verdict_of_batch(tx: Transaction, spent: Sequence[TxOut], flags: Flags) -> ScriptError:
    def are_valid(checks: Sequence[SignatureCheck]) -> bool:
        return verify_one_by_one(checks, _WHIM)

    try:
        verify_batch_of_scripts([Spend(tx, spent)], flags, are_valid, _WHIM)
    except ScriptInvalid as invalid:
        return invalid.error
    return ScriptError.OK


class _Feed:
    """Bytes to be used up: whatever is asked for beyond the end is zero or empty."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, count: int) -> bytes:
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little")

    def some(self) -> bytes:
        """A length in one byte, or 255 and two, and so many bytes."""
        length = self.number(1)
        return self.take(self.number(2) if length == 255 else length)

    def left(self) -> bytes:
        return self.take(len(self.data))


TARGETS: Final[Mapping[str, Target]] = {
    target.__name__: target
    for target in (
        transaction,
        block,
        message_parts,
        message,
        node,
        mempool,
        script,
        address,
        interpreter,
    )
}

MAX_BYTES: Final = {
    "transaction": 1 << 14,
    "block": 1 << 14,
    "message_parts": 1 << 12,
    "mempool": 1 << 13,
    "message": 1 << 13,
    "node": 1 << 12,
    "script": 1 << 11,
    "address": 200,
    "interpreter": 1 << 12,
}
"""The longest input that the fuzzer tries on each."""
