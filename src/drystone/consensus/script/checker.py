"""What a script may ask about the transaction that runs it: signatures and time."""

from drystone.consensus.locktime import (
    LOCKTIME_THRESHOLD,
    SEQUENCE_LOCKTIME_DISABLE_FLAG,
    SEQUENCE_LOCKTIME_MASK,
    SEQUENCE_LOCKTIME_TYPE_FLAG,
)
from drystone.consensus.script.encoding import has_key_size
from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.consensus.script.sighash import NO_CODE_SEPARATOR, SIGHASH_DEFAULT, SignatureHashes
from drystone.consensus.verifier import INLINE, Verifier
from drystone.primitives.transaction import SEQUENCE_FINAL

_MIN_SEQUENCE_LOCK_VERSION = 2  # BIP68


class InputChecker:
    """One input of a transaction, as its scripts see it. Core: TransactionSignatureChecker.

    verifier: whom to ask about a signature. decisive: whom to ask where a signature that fails
    makes the script fail, so that the answer may come later; the same one if not given.
    """

    __slots__ = ("_decisive", "_digests", "_hashes", "_verifier", "index")

    def __init__(
        self,
        hashes: SignatureHashes,
        index: int,
        verifier: Verifier = INLINE,
        decisive: Verifier | None = None,
    ) -> None:
        self.index = index
        self._hashes = hashes
        self._verifier = verifier
        self._decisive = decisive or verifier
        # Keys tried against one signature, and signatures of one kind, share their digest.
        self._digests: dict[tuple[bytes, int, bool], bytes] = {}

    def ecdsa(
        self,
        signature: bytes,
        public_key: bytes,
        script_code: bytes,
        *,
        in_witness: bool,
        decisive: bool = False,
    ) -> bool:
        """Whether a signature, hash type included, is the key's. Core: CheckECDSASignature.

        script_code: the part of the script that it signs. in_witness: by version 0's rules.
        decisive: if not, the script fails.
        """
        if not signature or not has_key_size(public_key):
            return False
        hash_type = signature[-1]
        cached = script_code, hash_type, in_witness
        digest = self._digests.get(cached)
        if digest is None:
            digest_of = self._hashes.witness_v0 if in_witness else self._hashes.legacy
            digest = self._digests[cached] = digest_of(self.index, script_code, hash_type)
        verifier = self._decisive if decisive else self._verifier
        return verifier.ecdsa(public_key, digest, signature[:-1])

    def check_schnorr(
        self,
        signature: bytes,
        public_key: bytes,
        annex_hash: bytes | None = None,
        leaf_hash: bytes | None = None,
        code_separator: int = NO_CODE_SEPARATOR,
    ) -> None:
        """A signature of 64 bytes, or 65 with a hash type, is the key's (BIP341).

        Raises ScriptInvalid: SCHNORR_SIG_SIZE, SCHNORR_SIG_HASHTYPE, SCHNORR_SIG.
        Core: CheckSchnorrSignature.
        """
        hash_type = SIGHASH_DEFAULT
        if len(signature) == 65:
            hash_type = signature[64]
            if hash_type == SIGHASH_DEFAULT:
                raise ScriptInvalid(ScriptError.SCHNORR_SIG_HASHTYPE)
            signature = signature[:64]
        elif len(signature) != 64:
            raise ScriptInvalid(ScriptError.SCHNORR_SIG_SIZE)
        digest = self._hashes.taproot(self.index, hash_type, annex_hash, leaf_hash, code_separator)
        if digest is None:
            raise ScriptInvalid(ScriptError.SCHNORR_SIG_HASHTYPE)
        if not self._decisive.schnorr(public_key, digest, signature):
            raise ScriptInvalid(ScriptError.SCHNORR_SIG)

    def has_reached_lock_time(self, lock_time: int) -> bool:
        """Whether the transaction can't be in a block before this time (BIP65).

        Heights and times don't compare, and an input with the final sequence would switch the
        transaction's lock time off. Core: CheckLockTime.
        """
        tx = self._hashes.tx
        if (lock_time < LOCKTIME_THRESHOLD) != (tx.lock_time < LOCKTIME_THRESHOLD):
            return False
        return lock_time <= tx.lock_time and tx.vin[self.index].sequence != SEQUENCE_FINAL

    def has_reached_sequence(self, sequence: int) -> bool:
        """Whether the coin must be at least this old, by BIP68's rules (BIP112).

        Core: CheckSequence.
        """
        tx = self._hashes.tx
        own = tx.vin[self.index].sequence
        if tx.version < _MIN_SEQUENCE_LOCK_VERSION or own & SEQUENCE_LOCKTIME_DISABLE_FLAG:
            return False
        if (sequence ^ own) & SEQUENCE_LOCKTIME_TYPE_FLAG:
            return False
        return sequence & SEQUENCE_LOCKTIME_MASK <= own & SEQUENCE_LOCKTIME_MASK
