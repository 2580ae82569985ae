"""A process that keeps a chain on disk is killed, at random instants. `make kill` does more."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(*arguments: str, timeout_s: int = 250) -> subprocess.CompletedProcess[str]:
    """Python, in a process that has never opened a directory."""
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def test_after_sixty_kills_nothing_acknowledged_is_lost() -> None:
    done = run("-m", "tests.support.kill_campaign", "--kills", "60", "--kills-in-a-life", "12")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "60 processes killed" in done.stdout


SABOTAGE = """
from drystone.drivers.store import coins, journal
{sabotage}
from tests.support.kill_campaign import Failed, campaign
try:
    campaign(200, 1, lambda line: None)
except Failed as failed:
    print("caught:", failed)
"""

TOO_EARLY = """
append, kept = journal.Journal.append, []
def later(self, records):
    if kept:
        append(self, kept.pop())
    kept.append(records)
journal.Journal.append = later
"""

HALF_WRITTEN = """
write = coins.DiskCoins.write
def halved(self, spent, created, tip):
    spent = list(spent)
    write(self, spent[1:], created, tip)
coins.DiskCoins.write = halved
"""


def test_kills_find_a_store_that_acknowledges_before_it_has_written() -> None:
    done = run("-c", SABOTAGE.format(sabotage=TOO_EARLY))
    assert "caught: life" in done.stdout, done.stdout + done.stderr


def test_kills_find_coins_that_are_written_by_halves() -> None:
    done = run("-c", SABOTAGE.format(sabotage=HALF_WRITTEN))
    assert "caught: life" in done.stdout, done.stdout + done.stderr
