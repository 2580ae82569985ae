"""Shapes of script that are treated by name."""

from drystone.primitives.script import p2pkh

_P2PKH_HEAD, _P2PKH_TAIL = p2pkh(bytes(20))[:3], p2pkh(bytes(20))[-2:]


def is_p2pkh(script: bytes) -> bool:
    """Whether a script asks for a key with this hash and a signature, and for nothing else.

    CHECKSIG is its last operation: where the signature fails, so does the script.
    """
    return len(script) == 25 and script.startswith(_P2PKH_HEAD) and script.endswith(_P2PKH_TAIL)
