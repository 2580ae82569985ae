"""Inputs of all kinds for Hypothesis to make up, valid ones and those that almost are."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import NamedTuple

from hypothesis import strategies as st

from drystone.consensus.script.flags import CONSENSUS, STANDARD, Flags
from drystone.consensus.script.sighash import SIGHASH_ALL, SignatureHashes
from drystone.consensus.script.taproot import LEAF_VERSION_TAPSCRIPT, tap_leaf_hash
from drystone.consensus.script.verify import Spend
from drystone.crypto.ripemd160 import hash160
from drystone.crypto.secp256k1 import (
    sign_ecdsa,
    sign_schnorr,
    tap_tweak,
    tweak_public_key,
    x_only_public_key,
)
from drystone.primitives.hashes import Txid
from drystone.primitives.opcodes import Op
from drystone.primitives.script import p2sh, p2tr, p2wsh, push, push_int
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut
from tests.support.spending import KEYS, LOCKS, SECRETS, Unlocked
from tests.support.vectors import filled

X_ONLY_KEYS = [x_only_public_key(secret) for secret in SECRETS]

flag_sets = st.one_of(
    st.sampled_from([CONSENSUS, STANDARD, Flags.NONE, Flags.P2SH]),
    st.integers(0, 2**21 - 1).map(Flags),
    st.integers(0, 2**21 - 1).map(Flags).map(filled),
)

words = st.one_of(
    st.integers(0, 0xFF).map(lambda opcode: bytes((opcode,))),
    st.sampled_from(list(Op)).map(lambda op: bytes((op,))),
    st.integers(-3, 21).map(push_int),
    st.binary(max_size=9).map(push),
    st.sampled_from([bytes(520), bytes(521)]).map(push),
)
scripts = st.one_of(
    st.lists(words, max_size=30).map(b"".join),
    st.binary(max_size=60),
    st.builds(lambda script, times: script * times, st.lists(words).map(b"".join), st.just(250)),
)
"""Some of them long enough to break the limits."""

Sign = Callable[[int], bytes]
"""A signature, hash type included, by one of the keys."""


class Fragment(NamedTuple):
    """A piece of script that leaves true or false, and what it wants on the stack, bottom first.

    An item is bytes, or the number of the key that should sign.
    """

    script: bytes
    items: list[int | bytes]


numbers = st.integers(0, len(SECRETS) - 1)
# Mostly what makes the script valid, and everything else.
signers = st.one_of(numbers, numbers, st.just(b""), st.binary(max_size=5), st.just(b"\x30" * 70))


def check_with(op: Op, keys: list[bytes]) -> st.SearchStrategy[Fragment]:
    """One signature."""

    def build(number: int, signer: int | bytes, tail: bytes) -> Fragment:
        item = number if isinstance(signer, int) and signer else signer
        return Fragment(push(keys[number]) + bytes((op,)) + tail, [item])

    return st.builds(build, numbers, signers, tails)


NOT = bytes((Op.OP_NOT,))
ONE_IF = bytes((Op.OP_IF, Op.OP_1, Op.OP_ELSE, Op.OP_0, Op.OP_ENDIF))
TWO_IF = bytes((Op.OP_NOTIF, Op.OP_0, Op.OP_ELSE, Op.OP_1, Op.OP_ENDIF))
tails = st.sampled_from([b"", b"", NOT, ONE_IF, TWO_IF])


def checkmultisig() -> st.SearchStrategy[Fragment]:
    """One to three keys."""

    def build(order: list[int], signing: list[int | bytes], dummy: bytes, tail: bytes) -> Fragment:
        signing = signing[: len(order)]
        keys = b"".join(push(KEYS[number]) for number in order)
        head, opcode = push_int(len(signing)), bytes((Op.OP_CHECKMULTISIG,))
        script = head + keys + push_int(len(order)) + opcode + tail
        return Fragment(script, [dummy, *signing])

    orders = st.permutations(range(3)).flatmap(
        lambda order: st.integers(1, 3).map(lambda size: list(order[:size]))
    )
    dummies = st.sampled_from([b"", b"", b"\1"])
    return st.builds(build, orders, st.lists(signers, max_size=3), dummies, tails)


def checksigadd() -> st.SearchStrategy[Fragment]:
    """A threshold over all keys (BIP342)."""

    def build(signing: tuple[int | bytes, ...], threshold: int) -> Fragment:
        first, *others = X_ONLY_KEYS
        adds = b"".join(push(key) + bytes((Op.OP_CHECKSIGADD,)) for key in others)
        script = push(first) + bytes((Op.OP_CHECKSIG,)) + adds
        script += push_int(threshold) + bytes((Op.OP_NUMEQUAL,))
        return Fragment(script, list(reversed(signing)))

    each = st.tuples(*(st.sampled_from([number, number, b""]) for number in range(len(SECRETS))))
    return st.builds(build, each, st.integers(0, 3))


def unknown_key() -> st.SearchStrategy[Fragment]:
    """A key of a kind that has no meaning yet (BIP342)."""
    script = push(KEYS[0]) + bytes((Op.OP_CHECKSIG,))
    return st.builds(Fragment, st.just(script), st.lists(signers, min_size=1, max_size=1))


arbitrary = st.builds(Fragment, scripts, st.lists(st.binary(max_size=3), max_size=3))
ecdsa_fragments = st.one_of(
    check_with(Op.OP_CHECKSIG, KEYS), check_with(Op.OP_CHECKSIG, KEYS), checkmultisig(), arbitrary
)
schnorr_fragments = st.one_of(
    check_with(Op.OP_CHECKSIG, X_ONLY_KEYS), checksigadd(), unknown_key(), arbitrary
)


@st.composite
def programs(draw: st.DrawFn, fragments: st.SearchStrategy[Fragment]) -> Fragment:
    """Fragments one after the other, each but the last verified, dropped or put aside."""
    parts = draw(st.lists(fragments, min_size=1, max_size=3))
    script = parts[-1].script
    items = list(parts[-1].items)
    for part in parts[-2::-1]:
        link = draw(st.sampled_from([Op.OP_VERIFY, Op.OP_DROP, Op.OP_TOALTSTACK]))
        script = part.script + bytes((link,)) + script
        items += part.items
    return Fragment(script, items)


class Kind(NamedTuple):
    """How a program becomes an output, and how its stack reaches it."""

    script_pubkey: bytes
    sign: Callable[[SignatureHashes, int], Sign]
    show: Callable[[list[bytes]], Unlocked]


def ecdsa_signer(script: bytes, *, in_witness: bool) -> Callable[[SignatureHashes, int], Sign]:
    def signer(hashes: SignatureHashes, index: int) -> Sign:
        digest_of = hashes.witness_v0 if in_witness else hashes.legacy
        digest = digest_of(index, script, SIGHASH_ALL)
        return lambda number: sign_ecdsa(SECRETS[number], digest) + b"\x01"

    return signer


def pushes(stack: list[bytes]) -> bytes:
    return b"".join(map(push, stack))


def bare(script: bytes) -> Kind:
    sign = ecdsa_signer(script, in_witness=False)
    return Kind(script, sign, lambda stack: Unlocked(pushes(stack), ()))


def in_p2sh(script: bytes) -> Kind:
    sign = ecdsa_signer(script, in_witness=False)
    return Kind(p2sh(hash160(script)), sign, lambda stack: Unlocked(pushes([*stack, script]), ()))


def in_p2wsh(script: bytes) -> Kind:
    sign = ecdsa_signer(script, in_witness=True)
    return Kind(p2wsh(sha256(script).digest()), sign, lambda stack: Unlocked(b"", (*stack, script)))


def in_p2sh_p2wsh(script: bytes) -> Kind:
    inner = in_p2wsh(script)
    outer = p2sh(hash160(inner.script_pubkey))
    return Kind(
        outer, inner.sign, lambda stack: Unlocked(push(inner.script_pubkey), (*stack, script))
    )


def in_tapscript(script: bytes) -> Kind:
    internal_key = X_ONLY_KEYS[0]
    leaf_hash = tap_leaf_hash(script)
    output_key, parity = tweak_public_key(internal_key, tap_tweak(internal_key, leaf_hash))
    control_block = bytes((LEAF_VERSION_TAPSCRIPT | parity,)) + internal_key

    def signer(hashes: SignatureHashes, index: int) -> Sign:
        digest = hashes.taproot(index, 0, leaf_hash=leaf_hash)
        assert digest is not None
        return lambda number: sign_schnorr(SECRETS[number], digest)

    return Kind(
        p2tr(output_key), signer, lambda stack: Unlocked(b"", (*stack, script, control_block))
    )


class Lockable(NamedTuple):
    """An output script, and how an input unlocks it, or tries to."""

    script_pubkey: bytes
    unlock: Callable[[SignatureHashes, int], Unlocked]


def lockable(kind: Kind, items: list[int | bytes]) -> Lockable:
    def unlock(hashes: SignatureHashes, index: int) -> Unlocked:
        sign = kind.sign(hashes, index)
        return kind.show([sign(item) if isinstance(item, int) else item for item in items])

    return Lockable(kind.script_pubkey, unlock)


@st.composite
def lockables(draw: st.DrawFn) -> Lockable:
    """Programs in outputs of all kinds, and the everyday locks."""
    if draw(st.booleans()):
        lock = draw(st.sampled_from(LOCKS))
        return Lockable(lock.script_pubkey, lock.unlock)
    if draw(st.booleans()):
        program = draw(programs(schnorr_fragments))
        return lockable(in_tapscript(program.script), program.items)
    wrap = draw(st.sampled_from([bare, in_p2sh, in_p2wsh, in_p2sh_p2wsh]))
    program = draw(programs(ecdsa_fragments))
    return lockable(wrap(program.script), program.items)


def damaged(data: bytes, at: int, bit: int) -> bytes:
    """With one bit changed, if there is any."""
    if not data:
        return data
    at %= len(data)
    return data[:at] + bytes((data[at] ^ 1 << bit,)) + data[at + 1 :]


@st.composite
def damage(draw: st.DrawFn, shown: Unlocked) -> Unlocked:
    """What an input shows, with a bit changed somewhere, an item more or one less."""
    script_sig, witness = shown
    at, bit = draw(st.integers(0, 600)), draw(st.integers(0, 7))
    match draw(st.sampled_from(["script", "item", "more", "less"])):
        case "script":
            return Unlocked(damaged(script_sig, at, bit), witness)
        case "item" if witness:
            which = draw(st.integers(0, len(witness) - 1))
            item = damaged(witness[which], at, bit)
            return Unlocked(script_sig, (*witness[:which], item, *witness[which + 1 :]))
        case "more":
            return Unlocked(script_sig, (draw(st.binary(max_size=3)), *witness))
        case _:
            return Unlocked(script_sig, witness[1:])


@st.composite
def spends(draw: st.DrawFn, *, max_inputs: int = 3) -> Spend:
    """A transaction and the outputs that it spends."""
    locks = draw(st.lists(lockables(), min_size=1, max_size=max_inputs))
    spent = [TxOut(1000 + at, lock.script_pubkey) for at, lock in enumerate(locks)]
    funding = Txid(sha256(draw(st.binary(max_size=4))).digest())
    vin = tuple(TxIn(OutPoint(funding, at)) for at in range(len(locks)))
    tx = Transaction(2, vin, (TxOut(500, b"\x51"),))
    hashes = SignatureHashes(tx, spent)
    shown = [lock.unlock(hashes, at) for at, lock in enumerate(locks)]
    if draw(st.integers(0, 3)) == 0:
        which = draw(st.integers(0, len(shown) - 1))
        shown[which] = draw(damage(shown[which]))
    vin = tuple(
        replace(txin, script_sig=script_sig, witness=witness)
        for txin, (script_sig, witness) in zip(vin, shown, strict=True)
    )
    return Spend(replace(tx, vin=vin), spent)
