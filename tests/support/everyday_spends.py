"""P2PKH, P2WPKH and P2TR inputs, and all that can be odd about one of them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import TypeVar

from drystone.consensus.script.sighash import SIGHASH_ALL, SignatureHashes
from drystone.consensus.script.verify import Spend
from drystone.crypto.ripemd160 import hash160
from drystone.crypto.secp256k1 import (
    ORDER,
    compact_from_der,
    public_key,
    sign_ecdsa,
    sign_schnorr,
    x_only_public_key,
)
from drystone.primitives.hashes import Txid
from drystone.primitives.opcodes import Op
from drystone.primitives.script import p2pkh, p2tr, p2wpkh, push
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut
from tests.support.spending import KEYS, SECRETS

T = TypeVar("T")

KINDS = ("p2pkh", "p2wpkh", "p2tr")


class Choices:
    """Which option is taken of what can be odd: the first, the plain one, unless said otherwise."""

    def __init__(self, taken: dict[str, int]) -> None:
        self._taken = taken
        self.offered: dict[str, int] = {}

    def __call__(self, name: str, *options: T) -> T:
        self.offered[name] = len(options)
        return options[self._taken.get(name, 0) % len(options)]


def everyday_spend(kind: str, choose: Choices) -> Spend:
    """One input of that kind."""
    secret = SECRETS[0]
    keys = odd_keys(secret)
    key = keys[choose("key", *keys)]
    key_hash = choose("key hash", hash160(key), hash160(KEYS[1]), bytes(20))
    x_only_key = x_only_public_key(secret)
    output_key = choose("output key", x_only_key, x_only_public_key(SECRETS[1]), NEGATIVE_ZERO)
    script_pubkey = choose(
        "output script",
        {"p2pkh": p2pkh(key_hash), "p2wpkh": p2wpkh(key_hash), "p2tr": p2tr(output_key)}[kind],
        b"\x51" * 22,
        b"\x51" * 25,
        b"\x51" * 34,
        b"\x76\xa9\x14" + key_hash + b"\x88\xad",
        b"\x76\xa9\x14" + key_hash + b"\x87\xac",
        b"\x76\xaa\x14" + key_hash + b"\x88\xac",
        b"\x52\x20" + output_key,
        b"\x51\x14" + key_hash,
    )
    spent = TxOut(700, script_pubkey)
    outputs = choose("outputs", (TxOut(500, b"\x51"),), ())
    tx = Transaction(2, (TxIn(OutPoint(Txid(bytes(32)), 0)),), outputs)
    hashes = SignatureHashes(tx, [spent])

    script_sig, witness = b"", tuple[bytes, ...]()
    if kind == "p2pkh":
        signatures = odd_signatures(secret, lambda kind: hashes.legacy(0, script_pubkey, kind))
        signature = signatures[choose("signature", *signatures)]()
        script_sig = choose("signature push", push, odd_push)(signature)
        script_sig += choose("key push", push, odd_push, wrong_push)(key)
    elif kind == "p2wpkh":
        script_code = p2pkh(key_hash)
        signatures = odd_signatures(secret, lambda kind: hashes.witness_v0(0, script_code, kind))
        witness = (signatures[choose("signature", *signatures)](), key)
    else:
        hash_type = choose("hash type", 0, 1, 2, 3, 0x81, 0x83)
        digest = hashes.taproot(0, hash_type) or bytes(32)
        signature = sign_schnorr(secret, digest) + (bytes((hash_type,)) if hash_type else b"")
        zero = signature[:64] + b"\0"
        witness = (choose("signature", signature, signature[:63], zero, bytes(64), b""),)
    script_sig = choose("before", b"", b"\x00", bytes((Op.OP_NOP,))) + script_sig
    script_sig += choose("after", b"", b"\x51", b"\x05")
    more, less = (b"", *witness), witness[1:]
    witness = choose("witness", witness, more, (*witness, b""), (*witness, b"\x50"), less)
    txin = replace(tx.vin[0], script_sig=script_sig, witness=witness)
    return Spend(replace(tx, vin=(txin,)), [spent])


def with_oddities(at_most: int) -> Iterator[tuple[str, dict[str, int]]]:
    """A kind of input, and so many choices other than the plain ones, for all that there are."""
    for kind in KINDS:
        choices = Choices({})
        everyday_spend(kind, choices)
        odd = [(name, n) for name, count in choices.offered.items() for n in range(1, count)]
        for number in range(at_most + 1):
            for taken in combinations(odd, number):
                if len(dict(taken)) == number:
                    yield kind, dict(taken)


# Thirty-one zero bytes and 80: the x of a point, but false where it is read as truth.
NEGATIVE_ZERO = bytes(31) + b"\x80"


def wrong_push(data: bytes) -> bytes:
    """One that leaves a byte over."""
    return bytes((len(data) - 1,)) + data if data else b"\0"


def der(r: int, s: int, *, padding: int = 0) -> bytes:
    """A signature in DER, or in what BER allows if r is padded."""

    def integer(value: int, zeros: int) -> bytes:
        data = bytes(zeros) + value.to_bytes(value.bit_length() // 8 + 1, "big")
        return bytes((2, len(data))) + data

    body = integer(r, padding) + integer(s, 0)
    return bytes((0x30, len(body))) + body


def odd_signatures(
    secret: bytes, digest_of: Callable[[int], bytes]
) -> dict[str, Callable[[], bytes]]:
    """ECDSA signatures, hash type included, valid or not, and what else may stand there."""

    def signature(
        hash_type: int = SIGHASH_ALL,
        *,
        alter: Callable[[int, int], tuple[int, int]] = lambda r, s: (r, s),
        padding: int = 0,
        tail: bytes = b"",
    ) -> bytes:
        compact = compact_from_der(sign_ecdsa(secret, digest_of(hash_type)))
        assert compact is not None
        r, s = int.from_bytes(compact[:32], "big"), int.from_bytes(compact[32:], "big")
        return der(*alter(r, s), padding=padding) + tail + bytes((hash_type,))

    return {
        "plain": signature,
        "high s": lambda: signature(alter=lambda r, s: (r, ORDER - s)),
        "padded": lambda: signature(padding=1),
        "trailing": lambda: signature(tail=b"\0"),
        "short": lambda: signature(alter=lambda _, __: (1, 1)),
        "wrong": lambda: signature(alter=lambda r, s: (r, s - 1)),
        "empty": lambda: b"",
        "garbage": lambda: b"\x01" * 71,
        "no hash type": lambda: signature()[:-1],
        **{
            f"hash type {kind:02x}": partial(signature, kind)
            for kind in (0x00, 0x02, 0x03, 0x04, 0x81, 0x83, 0xFF)
        },
    }


def odd_keys(secret: bytes) -> dict[str, bytes]:
    """Public keys in all forms."""
    whole = public_key(secret, compressed=False)
    return {
        "plain": public_key(secret),
        "uncompressed": whole,
        "hybrid": bytes((6 + whole[-1] % 2,)) + whole[1:],
        "wrong hybrid": bytes((7 - whole[-1] % 2,)) + whole[1:],
        "no point": b"\x02" + b"\xff" * 32,
        "too short": public_key(secret)[:-1],
        "of no form": b"\x05" + public_key(secret)[1:],
        "empty": b"",
    }


def odd_push(data: bytes) -> bytes:
    """One that is not minimal."""
    return bytes((Op.OP_PUSHDATA1, len(data))) + data


class Credulous:
    """A verifier that believes everything."""

    def ecdsa(self, public_key: bytes, digest: bytes, signature: bytes, /) -> bool:
        return True

    def schnorr(self, public_key: bytes, digest: bytes, signature: bytes, /) -> bool:
        return True
