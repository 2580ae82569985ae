"""Connections in virtual time under everything that can happen to them, from many seeds."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.support.processes import PATIENCE_S, environment
from tests.support.stream_storm import Storm

from drystone.core import streams

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", range(100))
def test_bytes_come_in_order_and_each_connection_ends_at_most_once(seed: int) -> None:
    storm = Storm(seed)
    storm.run()  # hosts check what they are told: see Noting
    # What one side still takes for a connection the other does, too, once all has come to rest.
    known = Counter(
        tuple(sorted((name, address)))
        for name, host in storm.net.hosts.items()
        for address in host.there.values()
    )
    assert all(ends % 2 == 0 for ends in known.values())
    for host in storm.net.hosts.values():
        assert sorted(host.there) == [c.peer for c in host.streams.connections()]
        assert all(c.queued_bytes == 0 for c in host.streams.connections())


def test_a_storm_has_everything_in_it() -> None:
    deeds: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    heard = 0
    for seed in range(20):
        storm = Storm(seed)
        storm.run()
        deeds += storm.deeds
        heard += storm.heard
        reasons += Counter(r for host in storm.net.hosts.values() for r in host.reasons)
    assert min(deeds[d] for d in ("dial", "say", "close", "crash", "link", "cut", "heal")) > 50
    assert heard > 1_000_000
    for reason in ("CLOSED_HERE", "CLOSED_THERE", "RESET", "CUT", "TIMED_OUT", "LOST"):
        assert reasons[getattr(streams, reason)] > 0, reason


def trace_of(seed: int, *, hash_seed: int) -> bytes:
    """The trace as a process of its own prints it."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.support.stream_storm", str(seed)],
        cwd=ROOT,
        env=environment(PYTHONHASHSEED=str(hash_seed)),
        stdout=subprocess.PIPE,
        timeout=2 * PATIENCE_S,
        check=True,
    )
    return ended.stdout


def test_the_same_seed_gives_the_same_trace_whatever_the_hash_seed() -> None:
    trace = trace_of(5, hash_seed=1)
    assert trace.count(b"\n") > 200 and trace.count(b" arrives\n") > 100
    assert trace_of(5, hash_seed=4242) == trace
    assert trace_of(6, hash_seed=1) != trace
