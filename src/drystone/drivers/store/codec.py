"""How coins and undo data are written down.

```
outpoint  txid (32) | vout (4)
coin      2 x height + is_coinbase (4) | amount (8) | script, to the end
undo      n | n x ( outpoint | 2 x height + is_coinbase (4) | amount (8) | size | script )
```

n and size are CompactSizes, the rest little-endian. Checksums are the business of who stores it.
Speed shaped this: a flush encodes a hundred thousand coins while the chain waits.
"""

from struct import Struct
from struct import error as StructError  # noqa: N812

from drystone.chain.store import BlockUndo
from drystone.consensus.coins import Coin
from drystone.primitives.codec import Malformed, Reader, Truncated, compact_size, u32
from drystone.primitives.hashes import Txid
from drystone.primitives.transaction import OutPoint, TxOut

OUTPOINT_BYTES = 36

_COIN = Struct("<IQ")
_UNDO = Struct("<32sIIQ")
_SHORT_UNDO = Struct("<32sIIQB")  # with the size of a script of less than 253 bytes


def encode_outpoint(outpoint: OutPoint) -> bytes:
    """36 bytes, as on the wire."""
    return outpoint[0] + u32(outpoint[1])


def decode_outpoint(data: bytes) -> OutPoint:
    """From 36 bytes."""
    return OutPoint(Txid(data[:32]), int.from_bytes(data[32:], "little"))


def encode_coin(coin: Coin) -> bytes:
    """Twelve bytes and the script."""
    output, height, is_coinbase = coin
    return _COIN.pack(height << 1 | is_coinbase, output.value) + output.script_pubkey


def decode_coin(data: bytes) -> Coin:
    """From all of the bytes. Raises Truncated."""
    try:
        code, value = _COIN.unpack_from(data)
    except StructError:
        raise Truncated(f"a coin of {len(data)} bytes") from None
    return Coin(TxOut(value, data[_COIN.size :]), code >> 1, bool(code & 1))


def encode_undo(undo: BlockUndo) -> bytes:
    """A block's spent coins, in their order."""
    parts = [compact_size(len(undo.spent))]
    for (txid, vout), (output, height, is_coinbase) in undo.spent:
        script = output.script_pubkey
        size = len(script)
        code = height << 1 | is_coinbase
        if size < 0xFD:
            parts.append(_SHORT_UNDO.pack(txid, vout, code, output.value, size) + script)
        else:
            head = _UNDO.pack(txid, vout, code, output.value)
            parts.append(head + compact_size(size) + script)
    return b"".join(parts)


def decode_undo(data: bytes) -> BlockUndo:
    """From all of the bytes. Raises Truncated or Malformed."""
    r = Reader(data)
    count = r.compact_size()
    if count * (_UNDO.size + 1) > r.left:
        raise Truncated(f"{count} coins announced in {r.left} bytes")
    spent = []
    at = r.offset
    try:
        for _ in range(count):
            txid, vout, code, value = _UNDO.unpack_from(data, at)
            at += _UNDO.size
            size = data[at]
            at += 1
            if size >= 0xFD:
                r.offset = at - 1
                size = r.compact_size()
                at = r.offset
            end = at + size
            output = TxOut(value, data[at:end])
            spent.append((OutPoint(txid, vout), Coin(output, code >> 1, bool(code & 1))))
            at = end
    except (IndexError, StructError):
        raise Truncated(f"undo data end at {len(data)} bytes, {at} or more are needed") from None
    if at != len(data):  # slices past the end come out short and unnoticed
        raise Malformed(f"undo data of {len(data)} bytes, of which {at} make sense")
    return BlockUndo(tuple(spent))
