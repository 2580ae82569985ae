"""Ways to lock coins, each with the way to unlock them: real keys, real signatures."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import NamedTuple

from drystone.consensus.coins import Coin
from drystone.consensus.script.sighash import SIGHASH_ALL, SIGHASH_DEFAULT, SignatureHashes
from drystone.consensus.script.taproot import LEAF_VERSION_TAPSCRIPT, tap_leaf_hash
from drystone.crypto.ripemd160 import hash160
from drystone.crypto.secp256k1 import (
    public_key,
    sign_ecdsa,
    sign_schnorr,
    tap_tweak,
    tap_tweak_secret,
    tweak_public_key,
    x_only_public_key,
)
from drystone.primitives.opcodes import Op
from drystone.primitives.script import (
    multisig,
    p2pk,
    p2pkh,
    p2sh,
    p2tr,
    p2wpkh,
    p2wsh,
    push,
)
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut

SECRETS = tuple(sha256(bytes([n])).digest() for n in range(3))
SECRET = SECRETS[0]
KEY = public_key(SECRET)
KEYS = [public_key(secret) for secret in SECRETS]


class Unlocked(NamedTuple):
    """What an input shows."""

    script_sig: bytes
    witness: tuple[bytes, ...]


class Lock(NamedTuple):
    """An output script, and how the input at an index unlocks it."""

    name: str
    script_pubkey: bytes
    unlock: Callable[[SignatureHashes, int], Unlocked]


def ecdsa(secret: bytes, digest: bytes, hash_type: int = SIGHASH_ALL) -> bytes:
    """A signature as scripts have it, hash type included."""
    return sign_ecdsa(secret, digest) + bytes((hash_type,))


def _legacy(hashes: SignatureHashes, index: int, script: bytes, secret: bytes = SECRET) -> bytes:
    return ecdsa(secret, hashes.legacy(index, script, SIGHASH_ALL))


def _witness_v0(
    hashes: SignatureHashes, index: int, script: bytes, secret: bytes = SECRET
) -> bytes:
    return ecdsa(secret, hashes.witness_v0(index, script, SIGHASH_ALL))


def _taproot(hashes: SignatureHashes, index: int, leaf_hash: bytes | None = None) -> bytes:
    digest = hashes.taproot(index, SIGHASH_DEFAULT, leaf_hash=leaf_hash)
    assert digest is not None
    return digest


def p2pk_lock() -> Lock:
    """Pay to a public key."""
    script = p2pk(KEY)
    return Lock("p2pk", script, lambda h, i: Unlocked(push(_legacy(h, i, script)), ()))


def p2pkh_lock(secret: bytes = SECRET) -> Lock:
    """Pay to a key's hash."""
    key = public_key(secret)
    script = p2pkh(hash160(key))

    def unlock(hashes: SignatureHashes, index: int) -> Unlocked:
        return Unlocked(push(_legacy(hashes, index, script, secret)) + push(key), ())

    return Lock("p2pkh", script, unlock)


def p2sh_lock() -> Lock:
    """Two of three signatures in P2SH (BIP16)."""
    redeem = multisig(2, KEYS)

    def unlock(hashes: SignatureHashes, index: int) -> Unlocked:
        signatures = [_legacy(hashes, index, redeem, secret) for secret in SECRETS[:2]]
        return Unlocked(b"\0" + b"".join(map(push, signatures)) + push(redeem), ())

    return Lock("p2sh", p2sh(hash160(redeem)), unlock)


def p2wpkh_lock(secret: bytes = SECRET) -> Lock:
    """Pay to a key's hash, version 0 (BIP141)."""
    key = public_key(secret)
    key_hash = hash160(key)

    def unlock(hashes: SignatureHashes, index: int) -> Unlocked:
        return Unlocked(b"", (_witness_v0(hashes, index, p2pkh(key_hash), secret), key))

    return Lock("p2wpkh", p2wpkh(key_hash), unlock)


def p2sh_p2wpkh_lock() -> Lock:
    """The same in P2SH."""
    inner = p2wpkh_lock()

    def unlock(hashes: SignatureHashes, index: int) -> Unlocked:
        return Unlocked(push(inner.script_pubkey), inner.unlock(hashes, index).witness)

    return Lock("p2sh-p2wpkh", p2sh(hash160(inner.script_pubkey)), unlock)


def p2wsh_lock() -> Lock:
    """Two of three signatures in a witness script."""
    script = multisig(2, KEYS)

    def unlock(hashes: SignatureHashes, index: int) -> Unlocked:
        signatures = [_witness_v0(hashes, index, script, secret) for secret in SECRETS[:2]]
        return Unlocked(b"", (b"", *signatures, script))

    return Lock("p2wsh", p2wsh(sha256(script).digest()), unlock)


def p2tr_key_lock(secret: bytes = SECRET) -> Lock:
    """Taproot, by its key (BIP341)."""
    tweak = tap_tweak(x_only_public_key(secret))
    output_key, _ = tweak_public_key(x_only_public_key(secret), tweak)
    tweaked = tap_tweak_secret(secret, tweak)

    def unlock(hashes: SignatureHashes, index: int) -> Unlocked:
        return Unlocked(b"", (sign_schnorr(tweaked, _taproot(hashes, index)),))

    return Lock("p2tr-key", p2tr(output_key), unlock)


def p2tr_script_lock() -> Lock:
    """Taproot, by its one script (BIP342): a signature by another key than the output's."""
    internal_key = x_only_public_key(SECRETS[1])
    script = push(x_only_public_key(SECRET)) + bytes((Op.OP_CHECKSIG,))
    leaf_hash = tap_leaf_hash(script)
    output_key, parity = tweak_public_key(internal_key, tap_tweak(internal_key, leaf_hash))
    control_block = bytes((LEAF_VERSION_TAPSCRIPT | parity,)) + internal_key

    def unlock(hashes: SignatureHashes, index: int) -> Unlocked:
        signature = sign_schnorr(SECRET, _taproot(hashes, index, leaf_hash))
        return Unlocked(b"", (signature, script, control_block))

    return Lock("p2tr-script", p2tr(output_key), unlock)


def anyone_lock() -> Lock:
    """OP_TRUE: no lock at all."""
    return Lock("anyone", b"\x51", lambda _, __: Unlocked(b"", ()))


LOCKS = (
    anyone_lock(),
    p2pk_lock(),
    p2pkh_lock(),
    p2sh_lock(),
    p2wpkh_lock(),
    p2sh_p2wpkh_lock(),
    p2wsh_lock(),
    p2tr_key_lock(),
    p2tr_script_lock(),
)


def signed(tx: Transaction, locks: Sequence[Lock], spent: Sequence[TxOut]) -> Transaction:
    """The transaction with all of its inputs unlocked."""
    hashes = SignatureHashes(tx, spent)
    vin = []
    for index, (txin, lock) in enumerate(zip(tx.vin, locks, strict=True)):
        script_sig, witness = lock.unlock(hashes, index)
        vin.append(replace(txin, script_sig=script_sig, witness=witness))
    return replace(tx, vin=tuple(vin))


def spend(
    coins: Sequence[tuple[OutPoint, Coin]],
    locks: Sequence[Lock],
    outputs: Sequence[TxOut],
    *,
    sequence: int = 0xFFFFFFFD,
    lock_time: int = 0,
    version: int = 2,
) -> Transaction:
    """A signed transaction of these coins, each with its lock, to these outputs."""
    vin = tuple(TxIn(outpoint, sequence=sequence) for outpoint, _ in coins)
    tx = Transaction(version, vin, tuple(outputs), lock_time)
    return signed(tx, locks, [coin.output for _, coin in coins])
