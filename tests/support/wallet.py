"""Accounts with coins that no block ever made."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

from drystone.chain.chainstate import ChainState
from drystone.consensus.chains import REGTEST
from drystone.consensus.coins import Coin
from drystone.primitives.hashes import Txid
from drystone.primitives.transaction import OutPoint, TxOut
from drystone.wallet.accounts import Accounts
from drystone.wallet.keys import Kind, keys_of
from drystone.wallet.owned import OwnedCoin

HEIGHT = 200


def outpoint(number: int) -> OutPoint:
    """As good as any."""
    return OutPoint(Txid(number.to_bytes(32)), 0)


def owned(
    value: int, kind: Kind = Kind.P2WPKH, *, number: int = 1, owner: str = "alice"
) -> OwnedCoin:
    """A coin of an account."""
    key = keys_of(owner).of_kind(kind)
    return OwnedCoin(outpoint(number), TxOut(value, key.script_pubkey), owner, key, height=1)


def funded(
    *values: int, kinds: Sequence[Kind] = (Kind.P2WPKH,), owner: str = "alice", rewards: int = 0
) -> Accounts:
    """alice and bob, where one has coins of these values, in blocks, of each kind in turn.

    rewards: so many of them, the last ones, are young coinbases.
    """
    coins = {}
    for number, value in enumerate(values, start=1):
        script = keys_of(owner).of_kind(kinds[number % len(kinds)]).script_pubkey
        is_young = number > len(values) - rewards
        height = HEIGHT if is_young else number
        coins[outpoint(number)] = Coin(TxOut(value, script), height, is_coinbase=is_young)
    accounts = Accounts(REGTEST, ("alice", "bob"))
    accounts.scan(cast(ChainState, SimpleNamespace(height=HEIGHT, coins=coins)))
    return accounts
