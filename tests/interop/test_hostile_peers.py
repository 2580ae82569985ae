"""A node is attacked over TCP, and goes on. `make hostile` does so for longer.

After each attack the node is up, in bounded memory, has mined on, serves an honest peer, and has
logged no exception. What each attack looks for besides is in `tests/support/attacks.py`.
"""

import time
from collections.abc import Iterator
from random import Random

import pytest

from drystone.p2p.messages import MESSAGES
from tests.support.attacks import ATTACKS, Attack, samples
from tests.support.bad_blocks import BAD_BLOCKS
from tests.support.siege import Attacker, Siege


@pytest.fixture(scope="module")
def siege() -> Iterator[Siege]:
    """One node for all attacks: what one of them leaves behind, the next would find."""
    with Siege() as running:
        yield running
        running.check_nothing_is_left()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_a_node_goes_on_under_attack(siege: Siege, attack: Attack) -> None:
    attack(siege, Random(1))
    siege.check()


def test_every_message_is_mutated() -> None:
    assert set(samples()) == set(MESSAGES)
    empty = {command for command, payload in samples().items() if not payload}
    assert empty == {
        *("verack", "wtxidrelay", "sendaddrv2", "sendheaders", "mempool", "getaddr"),
        "filterclear",
    }


def test_bad_blocks_break_many_rules() -> None:
    assert len(BAD_BLOCKS) >= 34 and len({reason for reason, _ in BAD_BLOCKS.values()}) >= 26


def test_a_node_that_may_open_no_more_files_goes_on() -> None:
    """Whoever dials waits until there is room; nothing spins, and nobody inside is disturbed."""
    with Siege(files=60) as siege:
        inside = Attacker(siege)
        outside = [Attacker(siege, shakes_hands=False) for _ in range(150)]
        siege.until(lambda: siege.trouble, "it does not say what is wrong")
        assert "too many open files; raise the limit (ulimit -n)" in siege.trouble[0]
        before_s, height = time.monotonic(), siege.next_report()["height"]
        used_s = siege.latest["cpu_s"]
        siege.until(lambda: siege.latest["height"] >= height + 3, "it mines no more")
        inside.sync()
        spent = (siege.latest["cpu_s"] - used_s) / (time.monotonic() - before_s)
        assert spent < 0.5, "it is busy with what can't be had"
        for one in outside:
            one.close()
        siege.check()
        inside.close()
        siege.check_nothing_is_left()
        assert len(siege.trouble) == 1
