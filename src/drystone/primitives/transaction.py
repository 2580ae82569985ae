"""Transactions and their serialisation, legacy and with witness (BIP144).

```
legacy   version (4) | vin | vout | lock time (4)
witness  version (4) | 00 01 | vin | vout | a stack for each input | lock time (4)
vin      n | n x ( txid (32) | vout (4) | script_sig | sequence (4) )
vout     n | n x ( value (8) | script_pubkey )
stack    n | n x bytes                    n and lengths are CompactSizes
```
"""

from dataclasses import dataclass, field
from hashlib import sha256
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import Any, Final, NamedTuple, Self

from drystone.primitives.codec import (
    MAX_SIZE,
    Malformed,
    Reader,
    Truncated,
    compact_size,
    i64,
    u32,
    var_bytes,
)
from drystone.primitives.hashes import NULL_HASH, Txid, Wtxid, display

SEQUENCE_FINAL: Final = 0xFFFFFFFF
WITNESS_SCALE_FACTOR: Final = 4  # a byte outside the witness weighs four (BIP141)
NULL_VOUT: Final = 0xFFFFFFFF

# The least that each can take on the wire: a count above bytes left / least can't be true, and is
# refused before anything is allocated by it.
_MIN_TXIN_BYTES = 41
_MIN_TXOUT_BYTES = 9

_OUTPOINT = Struct("<32sI")
_TXOUT_HEAD = Struct("<qB")
_U32 = Struct("<I")
_I64 = Struct("<q")


class OutPoint(NamedTuple):
    """The output being spent. Core: COutPoint.

    A NamedTuple and no dataclass, since it is the key of every coin: it hashes and compares three
    times as fast.
    """

    txid: Txid
    vout: int  # position among that transaction's outputs, uint32

    @property
    def is_null(self) -> bool:
        """Whether this is a coinbase's: no transaction, no output."""
        return self.vout == NULL_VOUT and self.txid == NULL_HASH

    def encode(self) -> bytes:
        """36 bytes."""
        return _OUTPOINT.pack(*self)

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """From 36 bytes."""
        return cls(Txid(r.take(32)), r.u32())

    def __str__(self) -> str:
        return f"{display(self.txid)}:{self.vout}"


NULL_OUTPOINT = OutPoint(Txid(NULL_HASH), NULL_VOUT)


@dataclass(frozen=True, slots=True)
class TxOut:
    """An amount and the script that locks it. Core: CTxOut."""

    value: int  # satoshis; int64 on the wire, so negative until a rule refuses it
    script_pubkey: bytes

    def encode(self) -> bytes:
        """Eight bytes, the script's size, the script."""
        size = len(self.script_pubkey)
        if size < 0xFD:  # nearly all: one call instead of four
            return _TXOUT_HEAD.pack(self.value, size) + self.script_pubkey
        return i64(self.value) + var_bytes(self.script_pubkey)

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """The wire's layout."""
        return cls(value=r.i64(), script_pubkey=r.var_bytes())


@dataclass(frozen=True, slots=True)
class TxIn:
    """The spending of one output. Core: CTxIn."""

    prevout: OutPoint
    script_sig: bytes = b""
    sequence: int = SEQUENCE_FINAL  # uint32
    witness: tuple[bytes, ...] = ()  # travels after the outputs, not here (BIP144)

    def encode(self) -> bytes:
        """Without the witness."""
        return self.prevout.encode() + var_bytes(self.script_sig) + u32(self.sequence)

    @classmethod
    def decode(cls, r: Reader, witness: tuple[bytes, ...] = ()) -> Self:
        """The wire's layout; the witness comes from elsewhere."""
        return cls(OutPoint.decode(r), r.var_bytes(), r.u32(), witness)


@dataclass(frozen=True, slots=True)
class Transaction:
    """Inputs, outputs, and what makes them final. Core: CTransaction.

    Its identities and sizes are computed once, when it is made, and are no part of comparison:
    txid and stripped_size leave the witness out, wtxid and total_size have it.
    """

    version: int  # uint32
    vin: tuple[TxIn, ...]
    vout: tuple[TxOut, ...]
    lock_time: int = 0  # uint32: a height below 500,000,000, else unix seconds
    txid: Txid = field(init=False, repr=False, compare=False)
    wtxid: Wtxid = field(init=False, repr=False, compare=False)
    stripped_size: int = field(init=False, repr=False, compare=False)
    total_size: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        stripped = self.encode_stripped()
        whole = self._encode_with_witness() if self.has_witness else stripped
        _set_identity(self, stripped, whole)

    @property
    def has_witness(self) -> bool:
        """Whether any input has one; then it is serialised with all of them."""
        for txin in self.vin:  # noqa: SIM110 - `any` takes thrice as long for the usual one or two
            if txin.witness:
                return True
        return False

    @property
    def is_coinbase(self) -> bool:
        """Whether it makes new coins: one input that spends nothing. Core: IsCoinBase."""
        vin = self.vin
        return len(vin) == 1 and vin[0].prevout.vout == NULL_VOUT and vin[0].prevout.is_null

    @property
    def weight(self) -> int:
        """Weight units: witness bytes count one, all others four (BIP141)."""
        return (WITNESS_SCALE_FACTOR - 1) * self.stripped_size + self.total_size

    @property
    def vsize(self) -> int:
        """Virtual bytes: a quarter of the weight, rounded up (BIP141)."""
        return -(-self.weight // WITNESS_SCALE_FACTOR)

    def encode(self) -> bytes:
        """As on the wire: with the witness if there is one."""
        return self._encode_with_witness() if self.has_witness else self.encode_stripped()

    def encode_stripped(self) -> bytes:
        """Without any witness: what the txid commits to."""
        return u32(self.version) + self._encode_body() + u32(self.lock_time)

    def _encode_with_witness(self) -> bytes:
        parts = [u32(self.version), b"\0\1", self._encode_body()]
        for txin in self.vin:
            parts.append(compact_size(len(txin.witness)))
            parts += [var_bytes(item) for item in txin.witness]
        parts.append(u32(self.lock_time))
        return b"".join(parts)

    def _encode_body(self) -> bytes:
        parts = [compact_size(len(self.vin))]
        parts += [txin.encode() for txin in self.vin]
        parts.append(compact_size(len(self.vout)))
        parts += [txout.encode() for txout in self.vout]
        return b"".join(parts)

    @classmethod
    def decode(cls, r: Reader) -> "Transaction":
        """From the wire, with or without witness. Raises Truncated or Malformed.

        As the reference client reads it: no inputs means that a flag byte follows; a witness
        that is empty for all inputs is superfluous, and any other flag is unknown.
        """
        try:
            tx, r.offset = _decode_transaction(r.data, r.offset)
        except (IndexError, StructError):
            raise Truncated(f"the transaction at offset {r.offset} ends too early") from None
        return tx

    @classmethod
    def from_bytes(cls, data: bytes) -> "Transaction":
        """From all of the bytes; any left over are Malformed."""
        r = Reader(data)
        tx = cls.decode(r)
        r.finish()
        return tx


def _set_identity(tx: Transaction, stripped: bytes, whole: bytes) -> None:
    """Fill the slots that are derived from the serialisation."""
    txid = sha256(sha256(stripped).digest()).digest()
    _set_txid(tx, txid)
    _set_stripped_size(tx, len(stripped))
    _set_total_size(tx, len(whole))
    _set_wtxid(tx, txid if whole is stripped else sha256(sha256(whole).digest()).digest())


# Speed shaped the code from here on: a block has thousands of transactions, and a method call for
# each field costs more than all the rest. So one function walks the bytes with local variables and
# fills the slots directly. Slices past the end come out short and unnoticed, but every read after
# them is further on, and the last one, of the lock time, fails if any was short.


def _decode_transaction(data: bytes, start: int) -> tuple[Transaction, int]:
    """The transaction at an offset, and the offset after it. IndexError, StructError: too short."""
    version = _u32_at(data, start)[0]
    inputs, at = _decode_inputs(data, start + 4)
    flags = 0
    if not inputs:
        flags = data[at]
        at += 1
        if flags:
            inputs, at = _decode_inputs(data, at)
    # Without inputs and flags, the byte just read was the empty vector of outputs.
    vout, at = _decode_outputs(data, at) if inputs or flags else ((), at)
    if flags & 1:
        body_end = at
        vin, at = _decode_witnesses(data, at, inputs)
        flags ^= 1
        stripped = data[start : start + 4] + data[start + 6 : body_end] + data[at : at + 4]
    else:
        vin = tuple([TxIn(*txin) for txin in inputs])
        stripped = None
    if flags:
        raise Malformed("unknown transaction optional data")
    lock_time = _u32_at(data, at)[0]
    at += 4
    tx: Transaction = _new(Transaction)
    _set_version(tx, version)
    _set_vin(tx, vin)
    _set_vout(tx, vout)
    _set_lock_time(tx, lock_time)
    whole = data[start:at]
    _set_identity(tx, whole if stripped is None else stripped, whole)
    return tx, at


def _decode_inputs(data: bytes, at: int) -> tuple[list[tuple[OutPoint, bytes, int]], int]:
    count, at = _count_at(data, at, _MIN_TXIN_BYTES)
    inputs = []
    for _ in range(count):
        size = data[at + 36]
        script = at + 37
        if size >= 0xFD:
            size, script = _size_at(data, at + 36)
        end = script + size
        outpoint = OutPoint(data[at : at + 32], _u32_at(data, at + 32)[0])  # type: ignore[arg-type]
        inputs.append((outpoint, data[script:end], _u32_at(data, end)[0]))
        at = end + 4
    return inputs, at


def _decode_outputs(data: bytes, at: int) -> tuple[tuple[TxOut, ...], int]:
    count, at = _count_at(data, at, _MIN_TXOUT_BYTES)
    outputs = []
    for _ in range(count):
        size = data[at + 8]
        script = at + 9
        if size >= 0xFD:
            size, script = _size_at(data, at + 8)
        end = script + size
        txout: TxOut = _new(TxOut)
        _set_value(txout, _i64_at(data, at)[0])
        _set_script_pubkey(txout, data[script:end])
        outputs.append(txout)
        at = end
    return tuple(outputs), at


def _decode_witnesses(
    data: bytes, at: int, inputs: list[tuple[OutPoint, bytes, int]]
) -> tuple[tuple[TxIn, ...], int]:
    """A stack for each input. Raises Malformed if all are empty: they should not be there."""
    vin = []
    any_witness = False
    for prevout, script_sig, sequence in inputs:
        count, at = _count_at(data, at, 1)
        stack = []
        for _ in range(count):
            size = data[at]
            at += 1
            if size >= 0xFD:
                size, at = _size_at(data, at - 1)
            stack.append(data[at : at + size])
            at += size
        any_witness = any_witness or count > 0
        txin: TxIn = _new(TxIn)
        _set_prevout(txin, prevout)
        _set_script_sig(txin, script_sig)
        _set_sequence(txin, sequence)
        _set_witness(txin, tuple(stack))
        vin.append(txin)
    if not any_witness:
        raise Malformed("superfluous witness record")
    return tuple(vin), at


def _count_at(data: bytes, at: int, least_bytes: int) -> tuple[int, int]:
    """How many items follow, and the offset of the first. least_bytes: that each must take."""
    count = data[at]
    if count < 0xFD:
        return count, at + 1
    count, at = _size_at(data, at)
    if count * least_bytes > len(data) - at:
        raise Truncated(f"{count} items announced in {len(data) - at} bytes")
    return count, at


def _size_at(data: bytes, at: int) -> tuple[int, int]:
    """A CompactSize of more than one byte, and the offset after it."""
    r = Reader(data, at)
    return r.compact_size(MAX_SIZE), r.offset


_new = object.__new__
_u32_at = _U32.unpack_from
_i64_at = _I64.unpack_from
# A frozen class refuses assignment, its slots don't.
_TXIN_SLOTS: Any = vars(TxIn)
_set_prevout = _TXIN_SLOTS["prevout"].__set__
_set_script_sig = _TXIN_SLOTS["script_sig"].__set__
_set_sequence = _TXIN_SLOTS["sequence"].__set__
_set_witness = _TXIN_SLOTS["witness"].__set__
_TXOUT_SLOTS: Any = vars(TxOut)
_set_value = _TXOUT_SLOTS["value"].__set__
_set_script_pubkey = _TXOUT_SLOTS["script_pubkey"].__set__
_SLOTS: Any = vars(Transaction)
_set_version = _SLOTS["version"].__set__
_set_vin = _SLOTS["vin"].__set__
_set_vout = _SLOTS["vout"].__set__
_set_lock_time = _SLOTS["lock_time"].__set__
_set_txid = _SLOTS["txid"].__set__
_set_wtxid = _SLOTS["wtxid"].__set__
_set_stripped_size = _SLOTS["stripped_size"].__set__
_set_total_size = _SLOTS["total_size"].__set__
