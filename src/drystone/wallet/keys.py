"""The keys of accounts: one secret for each name, and the two kinds of script that it unlocks.

```
name -> secret -.-> public key -> its hash                  P2WPKH   (BIP141)
                `-> x of it    -> plus a tweak of its own   P2TR     (BIP86: no scripts)
```

The secret itself is made in `mining/accounts.py`, since the history of `local` pays to it.
Everybody knows it: these keys are for chains whose coins are worth nothing.
"""

import re
from enum import Enum
from functools import cache
from typing import Final, NamedTuple

from drystone.consensus.params import Params
from drystone.core.errors import UserError
from drystone.crypto.address import (
    AddressError,
    address_from_script,
    script_from_address,
    wif_from_secret,
)
from drystone.crypto.secp256k1 import (
    tap_tweak,
    tap_tweak_secret,
    tweak_public_key,
    x_only_public_key,
)
from drystone.mining.accounts import Account, account
from drystone.primitives.script import p2tr

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}"
_SHORTEST_ADDRESS = 26  # characters: the fewest that Base58 takes for 25 bytes


class Kind(Enum):
    """How a key locks coins."""

    P2WPKH = "p2wpkh"  # by the hash of the key; signed with ECDSA
    P2TR = "p2tr"  # by the key, tweaked; signed with Schnorr's scheme


KINDS: Final = tuple(Kind)


class Key(NamedTuple):
    """An output script, and the secret that signs for it."""

    kind: Kind
    script_pubkey: bytes
    public_key: bytes  # 33 bytes, compressed; of P2TR the output key's x alone, 32 bytes
    secret: bytes  # 32 bytes; of P2TR the tweaked one


class Keys(NamedTuple):
    """All keys of an account, on every chain the same."""

    account: Account
    p2wpkh: Key
    p2tr: Key

    @property
    def name(self) -> str:
        """The account's."""
        return self.account.name

    def of_kind(self, kind: Kind) -> Key:
        """The one of a kind."""
        return self.p2wpkh if kind is Kind.P2WPKH else self.p2tr

    def address(self, params: Params, kind: Kind = Kind.P2WPKH) -> str:
        """Where to pay to on a chain."""
        address = address_from_script(self.of_kind(kind).script_pubkey, params.address)
        assert address is not None
        return address

    def wif(self, params: Params) -> str:
        """The secret as other wallets import it, for a chain.

        It has no tweak yet. In descriptors of the reference client: `wpkh(WIF)` and `tr(WIF)`.
        """
        return wif_from_secret(self.account.secret, params.address)


@cache
def keys_of(name: str) -> Keys:
    """The keys of the account with this name. Raises UserError for what is no name."""
    if not re.fullmatch(_NAME, name):
        raise UserError(
            f"{name!r} can't name an account: take up to 32 letters, digits, dots, dashes and"
            " underscores"
        )
    owner = account(name)
    p2wpkh = Key(Kind.P2WPKH, owner.script_pubkey, owner.public_key, owner.secret)
    return Keys(owner, p2wpkh, key_path_key(owner.secret))


def key_path_key(secret: bytes) -> Key:
    """Taproot with nothing but a key: tweaked, so that nobody can have hidden a script (BIP86).

    Raises ValueError for what is no secret.
    """
    internal_key = x_only_public_key(secret)
    tweak = tap_tweak(internal_key)
    output_key, _ = tweak_public_key(internal_key, tweak)
    return Key(Kind.P2TR, p2tr(output_key), output_key, tap_tweak_secret(secret, tweak))


def script_to(whom: str, params: Params, kind: Kind = Kind.P2WPKH) -> bytes:
    """The output script that pays to an address of the chain, or to the account of that name.

    kind: of an account's key. Raises UserError for what looks like an address and is none, lest a
    slip of the pen becomes the name of somebody who has never been there.
    """
    try:
        return script_from_address(whom, params.address)
    except AddressError as e:
        if len(whom) >= _SHORTEST_ADDRESS and whom.isalnum():
            raise UserError(f"{whom} is no address on {params.name}: {e}") from None
        return keys_of(whom).of_kind(kind).script_pubkey
