"""What signatures sign: three ways to digest a transaction, one for each kind of script.

The hash type, at a signature's end, says what of the transaction is signed:

```
ALL      all outputs                          ANYONECANPAY   only the own input, else all
NONE     no output
SINGLE   the output at the own input's position
```

Checking n inputs should not take n^2 time. BIP143 and BIP341 were made for that: what all inputs
share is hashed once. A legacy signature hashes all inputs anew, each time with another one having
a script; but the part before that one can go on where the last input's left off.
"""

from collections.abc import Sequence
from hashlib import sha256
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from drystone.consensus.script.walk import PUSHDATA4, push_bounds
from drystone.primitives.codec import compact_size, i64, u32, var_bytes
from drystone.primitives.hashes import NULL_HASH, sha256d, tagged_hash
from drystone.primitives.opcodes import Op
from drystone.primitives.transaction import Transaction, TxOut

if TYPE_CHECKING:
    from hashlib import _Hash

SIGHASH_DEFAULT: Final = 0  # as ALL, and without a byte for it (BIP341)
SIGHASH_ALL: Final = 1
SIGHASH_NONE: Final = 2
SIGHASH_SINGLE: Final = 3
SIGHASH_ANYONECANPAY: Final = 0x80

_TAPROOT_HASH_TYPES = frozenset({0x00, 0x01, 0x02, 0x03, 0x81, 0x82, 0x83})

NO_CODE_SEPARATOR: Final = 0xFFFFFFFF  # the position of an OP_CODESEPARATOR that never ran

# Core quirk: a legacy SINGLE without an output at its input's position signs the number one, and
# so every other transaction of which the same can be said.
_NO_SUCH_OUTPUT = b"\x01" + bytes(31)

_BLANK_OUTPUT = b"\xff" * 8 + b"\0"  # an amount of -1, no script
_BLANK_INPUT_BYTES = 41  # outpoint, no script, sequence

_OP_CODESEPARATOR = int(Op.OP_CODESEPARATOR)
_VALUE_SEQUENCE = Struct("<qI")


class _Parts(NamedTuple):
    """SHA-256, once, over what every input and output has of one field."""

    prevouts: bytes
    sequences: bytes
    outputs: bytes


class _SpentParts(NamedTuple):
    """The same over the outputs being spent (BIP341)."""

    amounts: bytes
    scripts: bytes


class SignatureHashes:
    """The digests that one transaction's signatures sign. Core: PrecomputedTransactionData.

    spent_outputs: one for each input, in order; legacy digests do without. What digests share is
    hashed when the first of them is asked for.
    """

    __slots__ = (
        "_blank_inputs",
        "_outputs",
        "_parts",
        "_spent_parts",
        "_taproot_heads",
        "_v0_frames",
        "spent_outputs",
        "tx",
    )

    def __init__(self, tx: Transaction, spent_outputs: Sequence[TxOut] = ()) -> None:
        self.tx = tx
        self.spent_outputs = spent_outputs
        self._parts: _Parts | None = None
        self._spent_parts: _SpentParts | None = None
        self._outputs: bytes | None = None
        self._blank_inputs: dict[bool, _BlankInputs] = {}
        self._v0_frames: dict[int, tuple[bytes, bytes]] = {}
        self._taproot_heads: dict[int, bytes] = {}

    def legacy(self, index: int, script_code: bytes, hash_type: int) -> bytes:
        """For scripts outside of witnesses. Core: SignatureHash, with SigVersion::BASE.

        hash_type: 32 bits, of which a signature gives eight; what isn't NONE or SINGLE in its
        lowest five counts as ALL, and is signed as it stands.
        """
        tx = self.tx
        kind = hash_type & 0x1F
        if kind == SIGHASH_SINGLE and index >= len(tx.vout):
            return _NO_SUCH_OUTPUT
        txin = tx.vin[index]
        own = txin.prevout.encode() + _legacy_script_code(script_code) + u32(txin.sequence)
        if hash_type & SIGHASH_ANYONECANPAY:
            hasher = sha256(u32(tx.version) + b"\x01" + own)
        else:
            others = self._others(with_sequences=kind not in (SIGHASH_NONE, SIGHASH_SINGLE))
            hasher = others.hash_up_to(index)
            hasher.update(own)
            hasher.update(others.after(index))
        hasher.update(self._legacy_outputs(kind, index))
        hasher.update(u32(tx.lock_time) + u32(hash_type & 0xFFFFFFFF))
        return sha256(hasher.digest()).digest()

    def _others(self, *, with_sequences: bool) -> "_BlankInputs":
        blank = self._blank_inputs.get(with_sequences)
        if blank is None:
            blank = _BlankInputs(self.tx, with_sequences=with_sequences)
            self._blank_inputs[with_sequences] = blank
        return blank

    def _legacy_outputs(self, kind: int, index: int) -> bytes:
        if kind == SIGHASH_NONE:
            return b"\0"
        vout = self.tx.vout
        if kind == SIGHASH_SINGLE:
            return compact_size(index + 1) + _BLANK_OUTPUT * index + vout[index].encode()
        if self._outputs is None:
            self._outputs = compact_size(len(vout)) + b"".join([txout.encode() for txout in vout])
        return self._outputs

    def witness_v0(self, index: int, script_code: bytes, hash_type: int) -> bytes:
        """For witness programs of version 0 (BIP143). Core: SigVersion::WITNESS_V0."""
        txin = self.tx.vin[index]
        head, tail = self._v0_frames.get(hash_type) or self._v0_frame(hash_type)
        if hash_type & 0x1F == SIGHASH_SINGLE:
            vout = self.tx.vout
            output = sha256d(vout[index].encode()) if index < len(vout) else NULL_HASH
            tail = output + tail
        value = self.spent_outputs[index].value
        own = txin.prevout.encode() + var_bytes(script_code)
        return sha256d(head + own + _VALUE_SEQUENCE.pack(value, txin.sequence) + tail)

    def _v0_frame(self, hash_type: int) -> tuple[bytes, bytes]:
        """What comes before and after the part that only one input has.

        Of SINGLE, the part after it lacks the output's hash in front.
        """
        kind = hash_type & 0x1F
        alone = hash_type & SIGHASH_ANYONECANPAY
        parts = self._shared_parts()
        head = (
            u32(self.tx.version)
            + (NULL_HASH if alone else sha256(parts.prevouts).digest())
            + (
                NULL_HASH
                if alone or kind in (SIGHASH_NONE, SIGHASH_SINGLE)
                else sha256(parts.sequences).digest()
            )
        )
        tail = u32(self.tx.lock_time) + u32(hash_type)
        if kind == SIGHASH_NONE:
            tail = NULL_HASH + tail
        elif kind != SIGHASH_SINGLE:
            tail = sha256(parts.outputs).digest() + tail
        self._v0_frames[hash_type] = head, tail
        return head, tail

    def taproot(
        self,
        index: int,
        hash_type: int,
        annex_hash: bytes | None = None,
        leaf_hash: bytes | None = None,
        code_separator: int = NO_CODE_SEPARATOR,
    ) -> bytes | None:
        """For taproot outputs (BIP341), None if the hash type can't be. Core: SignatureHashSchnorr.

        annex_hash: SHA-256 of the annex with its size, if there is one. leaf_hash: of the
        tapscript that runs, in which code_separator is the position of the last OP_CODESEPARATOR
        that ran (BIP342); None for a signature by the output key.
        """
        tx = self.tx
        single = hash_type & 3 == SIGHASH_SINGLE
        if hash_type not in _TAPROOT_HASH_TYPES or (single and index >= len(tx.vout)):
            return None
        message = self._taproot_heads.get(hash_type) or self._taproot_head(hash_type)
        spend_type = (leaf_hash is not None) * 2 + (annex_hash is not None)
        message += spend_type.to_bytes(1, "little")
        if hash_type & SIGHASH_ANYONECANPAY:
            txin = tx.vin[index]
            message += txin.prevout.encode() + self.spent_outputs[index].encode()
            message += u32(txin.sequence)
        else:
            message += u32(index)
        if annex_hash is not None:
            message += annex_hash
        if single:
            message += sha256(tx.vout[index].encode()).digest()
        if leaf_hash is not None:
            message += leaf_hash + b"\0" + u32(code_separator)  # key version 0
        return tagged_hash("TapSighash", message)

    def _taproot_head(self, hash_type: int) -> bytes:
        """The epoch, 0, and all that inputs share."""
        parts = self._shared_parts()
        head = bytes((0, hash_type)) + u32(self.tx.version) + u32(self.tx.lock_time)
        if not hash_type & SIGHASH_ANYONECANPAY:
            spent = self._shared_spent_parts()
            head += parts.prevouts + spent.amounts + spent.scripts + parts.sequences
        if hash_type & 3 in (SIGHASH_DEFAULT, SIGHASH_ALL):
            head += parts.outputs
        self._taproot_heads[hash_type] = head
        return head

    def _shared_parts(self) -> _Parts:
        if self._parts is None:
            tx = self.tx
            prevouts = b"".join([txin.prevout.encode() for txin in tx.vin])
            sequences = b"".join([u32(txin.sequence) for txin in tx.vin])
            outputs = b"".join([txout.encode() for txout in tx.vout])
            self._parts = _Parts(
                sha256(prevouts).digest(), sha256(sequences).digest(), sha256(outputs).digest()
            )
        return self._parts

    def _shared_spent_parts(self) -> _SpentParts:
        if self._spent_parts is None:
            spent = self.spent_outputs
            amounts = b"".join([i64(txout.value) for txout in spent])
            scripts = b"".join([var_bytes(txout.script_pubkey) for txout in spent])
            self._spent_parts = _SpentParts(sha256(amounts).digest(), sha256(scripts).digest())
        return self._spent_parts


class _BlankInputs:
    """A transaction's inputs without scripts, with their sequences or zeros, and a hash of them.

    Speed shaped this: the inputs are one run of bytes, 41 for each, and the hash of all up to one
    is kept, since signatures are mostly checked in the order of inputs. So of 5,000 inputs half
    the bytes are hashed.
    """

    __slots__ = ("_bytes", "_hasher", "_head", "_position")

    def __init__(self, tx: Transaction, *, with_sequences: bool) -> None:
        blanks = [
            txin.prevout.encode() + b"\0" + u32(txin.sequence if with_sequences else 0)
            for txin in tx.vin
        ]
        self._bytes = memoryview(b"".join(blanks))
        self._head = u32(tx.version) + compact_size(len(tx.vin))
        self._position = 0
        self._hasher = sha256(self._head)

    def hash_up_to(self, index: int) -> "_Hash":
        """A hash of the version, the number of inputs, and the inputs before one."""
        if index < self._position:
            self._position = 0
            self._hasher = sha256(self._head)
        start, stop = self._position * _BLANK_INPUT_BYTES, index * _BLANK_INPUT_BYTES
        self._hasher.update(self._bytes[start:stop])
        self._position = index
        return self._hasher.copy()

    def after(self, index: int) -> memoryview:
        """The inputs behind one."""
        return self._bytes[(index + 1) * _BLANK_INPUT_BYTES :]


def _legacy_script_code(script_code: bytes) -> bytes:
    """A script as legacy signatures sign it, after its size: without its OP_CODESEPARATORs.

    Core quirk: bytes of a push that reaches past the end are counted and not written. Such a
    script is invalid anyway; but signatures before that place are looked at first.
    """
    pieces = []
    start = at = 0
    end = len(script_code)
    while at < end:
        opcode = script_code[at]
        at += 1
        if opcode <= PUSHDATA4:
            data_start, data_end = push_bounds(script_code, at, opcode)
            if data_end > end:
                at = data_start if data_start <= end else at
                break
            at = data_end
        elif opcode == _OP_CODESEPARATOR:
            pieces.append(script_code[start : at - 1])
            start = at
    size = compact_size(end - len(pieces))
    pieces.append(script_code[start:at])
    return size + b"".join(pieces)
