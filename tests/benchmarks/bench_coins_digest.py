"""How long the digest of all coins takes, with the native keystreams and without.

    python tests/benchmarks/bench_coins_digest.py [--coins 100000] [--rounds 3]

The time is this process's own, the least of the rounds. Nearly all of it is multiplication, one of
3,072 bits by 3,072 for each coin.
"""

import argparse
import time
from hashlib import sha256
from unittest.mock import patch

from drystone.chain import coins_digest as module
from drystone.chain.coins_digest import coins_digest
from drystone.consensus.coins import Coin
from drystone.crypto import chacha20
from drystone.kernel import native_available
from drystone.primitives.hashes import Txid
from drystone.primitives.script import p2wpkh
from drystone.primitives.transaction import OutPoint, TxOut


def made_coins(count: int) -> list[tuple[OutPoint, Coin]]:
    """P2WPKH, all different."""
    hashes = [sha256(n.to_bytes(4, "little")).digest() for n in range(count)]
    return [
        (
            OutPoint(Txid(hash_), n % 3),
            Coin(TxOut(10_000 + n, p2wpkh(hash_[:20])), n // 50, is_coinbase=n % 50 == 0),
        )
        for n, hash_ in enumerate(hashes)
    ]


def least_seconds(coins: list[tuple[OutPoint, Coin]], rounds: int) -> float:
    """For all of the coins."""
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        coins_digest(coins)
        taken.append(time.process_time() - start)
    return min(taken)


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--coins", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    coins = made_coins(options.coins)
    if native_available():
        seconds = least_seconds(coins, options.rounds)
        print(f"digest of {len(coins):,} coins, native keystreams: {seconds:.2f} s")
    with patch.object(module, "keystreams", chacha20.keystreams):
        seconds = least_seconds(coins, options.rounds)
    print(f"digest of {len(coins):,} coins, keystreams in Python: {seconds:.2f} s")


if __name__ == "__main__":
    main()
