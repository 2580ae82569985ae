"""Accounts for play and tests, whose keys everybody knows: alice, bob, carol and any other name.

A name's secret is the SHA-256 of "drystone account " and the name, on every chain. Whoever reads
this can spend their coins, so they are for chains whose coins are worth nothing.
"""

from functools import cache
from hashlib import sha256
from typing import Final, NamedTuple

from drystone.crypto.ripemd160 import hash160
from drystone.crypto.secp256k1 import public_key
from drystone.primitives.script import p2wpkh

FUNDED: Final = ("alice", "bob", "carol")  # by the history of `local`


class Account(NamedTuple):
    """A name and its key."""

    name: str
    secret: bytes  # 32 bytes
    public_key: bytes  # compressed: 33 bytes

    @property
    def script_pubkey(self) -> bytes:
        """Pays to the key's hash, version 0 (BIP141)."""
        return p2wpkh(hash160(self.public_key))


@cache
def account(name: str) -> Account:
    """The account of this name."""
    secret = sha256(f"drystone account {name}".encode()).digest()
    return Account(name, secret, public_key(secret))
