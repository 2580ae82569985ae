"""How fast the rules are, measured against libsecp256k1's own check of a signature.

    python tests/benchmarks/bench_rules.py [--rounds 15]

Every figure is a median, and is also given as a multiple of what the library takes for one ECDSA
check, key and signature already parsed, in the same run: so figures of different machines compare.
Time is this process's own, so that others may have the machine meanwhile; only threads are measured
by the clock, and want it for themselves. Rounds of what is compared take turns, and ratios are the
median of the rounds'. `ratio` is what the bar is for: the most that is allowed, or for threads the
least. Decoding has a bar of 12 microseconds where a check takes 28: that is 0.43 checks.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from btclib_libsecp256k1 import ffi, lib
from tests.support.blocks import REGTEST, coinbase_at
from tests.support.spending import Lock, p2pkh_lock, p2tr_key_lock, p2wpkh_lock, spend

from drystone.consensus.coins import Coin
from drystone.consensus.deployments import script_flags
from drystone.consensus.script.verify import Spend, verify_batch_of_scripts, verify_scripts
from drystone.consensus.verifier import SignatureCheck
from drystone.crypto.secp256k1 import public_key, sign_ecdsa, sign_schnorr, x_only_public_key
from drystone.drivers.verifier import SignatureQueue, packed_checks
from drystone.kernel.signatures import verify_packed
from drystone.primitives.block import Block, BlockHeader
from drystone.primitives.codec import compact_size
from drystone.primitives.hashes import BlockHash, Txid
from drystone.primitives.transaction import OutPoint, TxOut

Work = Callable[[], object]

FLAGS = script_flags(REGTEST, 1000, REGTEST.genesis_hash)
BLOCK_TRANSACTIONS = 1_000
CHECKS = 200
LIBRARY = "the library"
LARGE, HALF = 5_000, 2_500


class Timed:
    """Works of one kind, run in turns with the library's checks."""

    def __init__(
        self,
        works: Mapping[str, Work],
        rounds: int,
        clock: Callable[[], float] = time.process_time,
    ) -> None:
        works = {LIBRARY: bare_ecdsa(CHECKS), **works}
        self.taken: dict[str, list[float]] = {name: [] for name in works}
        for work in works.values():
            work()  # warm up
        for _ in range(rounds):
            for name, work in works.items():
                start = clock()
                work()
                self.taken[name].append(clock() - start)

    def seconds(self, name: str) -> float:
        """The median."""
        return median(self.taken[name])

    def ratio(self, name: str, other: str) -> float:
        """The median of what one took as a multiple of the other, round by round."""
        pairs = zip(self.taken[name], self.taken[other], strict=True)
        return median(one / another for one, another in pairs)

    def line(
        self, what: str, name: str, each: int, ratio: float | None = None, bar: str = ""
    ) -> None:
        """Print a line of the table, for each of so many."""
        microseconds = 1e6 * self.seconds(name) / each
        checks = self.ratio(name, LIBRARY) * CHECKS / each
        own = "" if ratio is None else f"{ratio:.2f}"
        print(f"{what:<62} {microseconds:>11.2f} {checks:>9.2f} {own:>7} {bar:>7}")


# The library alone.

SECRET = sha256(b"benchmark").digest()
DIGESTS = [sha256(bytes((n,))).digest() for n in range(16)]
CONTEXT = lib.secp256k1_context_static


def bare_ecdsa(count: int) -> Work:
    """So many calls of secp256k1_ecdsa_verify and nothing else."""
    serialized = public_key(SECRET)
    key = ffi.new("secp256k1_pubkey *")
    assert lib.secp256k1_ec_pubkey_parse(CONTEXT, key, serialized, len(serialized))
    signatures = []
    for digest in DIGESTS:
        der = sign_ecdsa(SECRET, digest)
        signature = ffi.new("secp256k1_ecdsa_signature *")
        assert lib.secp256k1_ecdsa_signature_parse_der(CONTEXT, signature, der, len(der))
        signatures.append((signature, digest))
    cycle = [signatures[n % len(signatures)] for n in range(count)]
    verify = lib.secp256k1_ecdsa_verify

    def work() -> None:
        for signature, digest in cycle:
            assert verify(CONTEXT, signature, digest, key)

    return work


def bare_schnorr(count: int) -> Work:
    """The same of secp256k1_schnorrsig_verify."""
    key = ffi.new("secp256k1_xonly_pubkey *")
    assert lib.secp256k1_xonly_pubkey_parse(CONTEXT, key, x_only_public_key(SECRET))
    signatures = [(sign_schnorr(SECRET, digest), digest) for digest in DIGESTS]
    cycle = [signatures[n % len(signatures)] for n in range(count)]
    verify = lib.secp256k1_schnorrsig_verify

    def work() -> None:
        for signature, digest in cycle:
            assert verify(CONTEXT, signature, digest, len(digest), key)

    return work


def parsed_ecdsa(count: int) -> Work:
    """ECDSA checks from bytes, each with the calls that a script can't do without."""
    serialized = public_key(SECRET)
    signatures = [(sign_ecdsa(SECRET, digest), digest) for digest in DIGESTS]
    cycle = [signatures[n % len(signatures)] for n in range(count)]
    key, signature = ffi.new("secp256k1_pubkey *"), ffi.new("secp256k1_ecdsa_signature *")

    def work() -> None:
        for der, digest in cycle:
            lib.secp256k1_ec_pubkey_parse(CONTEXT, key, serialized, len(serialized))
            lib.secp256k1_ecdsa_signature_parse_der(CONTEXT, signature, der, len(der))
            lib.secp256k1_ecdsa_signature_normalize(CONTEXT, signature, signature)
            assert lib.secp256k1_ecdsa_verify(CONTEXT, signature, digest, key)

    return work


def parsed_schnorr(count: int) -> Work:
    """The same of Schnorr."""
    serialized = x_only_public_key(SECRET)
    signatures = [(sign_schnorr(SECRET, digest), digest) for digest in DIGESTS]
    cycle = [signatures[n % len(signatures)] for n in range(count)]
    key = ffi.new("secp256k1_xonly_pubkey *")

    def work() -> None:
        for signature, digest in cycle:
            lib.secp256k1_xonly_pubkey_parse(CONTEXT, key, serialized)
            assert lib.secp256k1_schnorrsig_verify(CONTEXT, signature, digest, len(digest), key)

    return work


# Transactions to check.


def secret(number: int) -> bytes:
    """Keys differ, as they do in blocks."""
    return sha256(number.to_bytes(4, "little")).digest()


def payment(lock_of: Callable[[bytes], Lock], inputs: int, number: int = 0) -> Spend:
    """Inputs of one kind with keys of their own, to two outputs."""
    locks = [lock_of(secret(number + n)) for n in range(inputs)]
    coins = [
        (
            OutPoint(Txid(secret(number + n)), n),
            Coin(TxOut(10_000, lock.script_pubkey), 1, is_coinbase=False),
        )
        for n, lock in enumerate(locks)
    ]
    outputs = [TxOut(4_000, p2wpkh_lock().script_pubkey)] * 2
    tx = spend(coins, locks, outputs)
    return Spend(tx, [coin.output for _, coin in coins])


def payments(lock_of: Callable[[bytes], Lock], count: int, inputs: int) -> list[Spend]:
    """So many."""
    return [payment(lock_of, inputs, number * inputs) for number in range(count)]


def check_each(spends: Sequence[Spend]) -> Work:
    """Signatures checked as they come."""

    def work() -> None:
        for tx, outputs in spends:
            verify_scripts(tx, outputs, FLAGS)

    return work


def check_batch(spends: Sequence[Spend]) -> Work:
    """Signatures checked at the end."""
    return lambda: verify_batch_of_scripts(spends, FLAGS)


def block_bytes(inputs: int) -> bytes:
    """A block of 1,000 payments."""
    spends = payments(p2wpkh_lock, BLOCK_TRANSACTIONS - 1, inputs)
    header = BlockHeader(4, BlockHash(bytes(32)), bytes(32), 0, 0x207FFFFF, 0)
    return Block(header, (coinbase_at(200, 0), *(tx for tx, _ in spends))).encode()


def decode(data: bytes) -> Work:
    """From bytes to txids and the root over them."""

    def work() -> None:
        block = Block.from_bytes(data)
        block.merkle_root()

    return work


# What is measured.


def measure_blocks(rounds: int) -> None:
    """Decoding, per transaction."""
    works = {f"{n} in, 2 out": decode(block_bytes(n)) for n in (1, 2)}
    timed = Timed(works, rounds)
    timed.line("libsecp256k1's ECDSA check: one `check` in this table", LIBRARY, CHECKS)
    for name in works:
        checks = timed.ratio(name, LIBRARY) * CHECKS / BLOCK_TRANSACTIONS
        what = f"decode a transaction of a block, txid and root: {name}"
        timed.line(what, name, BLOCK_TRANSACTIONS, checks, "0.43")


def measure_inputs(rounds: int) -> None:
    """Scripts, per input, against the library's check of the same kind."""
    for name, lock_of, bare, parsed, bar in (
        ("P2WPKH", p2wpkh_lock, bare_ecdsa, parsed_ecdsa, "1.6"),
        ("P2TR key path", p2tr_key_lock, bare_schnorr, parsed_schnorr, "1.6"),
        ("P2PKH", p2pkh_lock, bare_ecdsa, parsed_ecdsa, "2.0"),
    ):
        spends = payments(lock_of, CHECKS // 2, 2)
        ways = {"at once": check_each(spends), "in a batch": check_batch(spends)}
        timed = Timed({"bare": bare(CHECKS), "parsed": parsed(CHECKS), **ways}, rounds)
        what = f"the library alone, parsing key and signature too, {name}"
        timed.line(what, "parsed", CHECKS, timed.ratio("parsed", "bare"))
        for way in ways:
            what = f"scripts of an input, {name}, signatures {way}"
            timed.line(what, way, CHECKS, timed.ratio(way, "bare"), bar)


class Kept:
    """A BatchVerifier that says yes, and keeps what it was asked."""

    def __init__(self) -> None:
        self.checks: list[SignatureCheck] = []

    def __call__(self, checks: Sequence[SignatureCheck]) -> bool:
        """Yes."""
        self.checks = list(checks)
        return True


def measure_cores(rounds: int) -> None:
    """A batch of signatures on one thread, and on two."""
    kept = Kept()
    verify_batch_of_scripts(payments(p2wpkh_lock, 1_000, 2), FLAGS, kept)

    def alone() -> None:
        packed = packed_checks(kept.checks)
        assert packed is not None and verify_packed(packed)

    with SignatureQueue(1) as queue:  # one thread, and this one, which helps while it waits
        works: dict[str, Work] = {"one": alone, "two": partial(queue, kept.checks)}
        timed = Timed(works, rounds, time.perf_counter)
    timed.line("a signature of a batch, one thread", "one", len(kept.checks))
    ratio = timed.ratio("one", "two")
    timed.line("a signature of a batch, two threads", "two", len(kept.checks), ratio, ">= 1.7")


def measure_large(rounds: int) -> None:
    """Transactions of thousands of inputs."""
    for name, lock_of in (("P2WPKH", p2wpkh_lock), ("P2TR", p2tr_key_lock)):
        timed = Timed({str(n): check_each([payment(lock_of, n)]) for n in (HALF, LARGE)}, rounds)
        what = f"a transaction of {LARGE:,} {name} inputs, against half"
        timed.line(what, str(LARGE), 1, timed.ratio(str(LARGE), str(HALF)), "2.2")
    legacy = payment(p2pkh_lock, LARGE)
    timed = Timed({"bare": hash_preimages(legacy), "whole": check_each([legacy])}, rounds)
    timed.line(f"SHA-256 of what {LARGE:,} P2PKH inputs sign", "bare", 1)
    what = f"a transaction of {LARGE:,} P2PKH inputs, against that"
    timed.line(what, "whole", 1, timed.ratio("whole", "bare"), "1.5")


def hash_preimages(spend: Spend) -> Work:
    """As many bytes as the legacy digests are of, hashed one preimage after the other."""
    stripped = replace(
        spend.tx, vin=tuple(replace(txin, script_sig=b"") for txin in spend.tx.vin)
    ).encode_stripped()
    script = spend.spent_outputs[0].script_pubkey
    preimage = stripped + compact_size(len(script))[1:] + script + bytes(4)
    count = len(spend.tx.vin)

    def work() -> None:
        for _ in range(count):
            sha256(sha256(preimage).digest()).digest()

    return work


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    print(f"{'':<62} {'microsecs':>11} {'checks':>9} {'ratio':>7} {'bar':>7}")
    measure_blocks(rounds)
    measure_inputs(rounds)
    measure_cores(max(3, rounds // 3))
    measure_large(max(3, rounds // 5))


if __name__ == "__main__":
    main()
