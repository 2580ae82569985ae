"""A node is attacked for as long as one likes, each time by another attack under another seed.

`make hostile`, or python -m tests.support.hostile_campaign --minutes 10 --seed 1. What fails is
printed with the seed that shows it again.
"""

import argparse
import sys
import time
import traceback
from collections import Counter
from random import Random

from tests.support.attacks import ATTACKS
from tests.support.siege import MiB, Siege

ATTACKS_IN_A_LIFE = 40  # then a new node, since a chain of attackers' blocks grows old


def campaign(minutes: float, seed: int) -> Counter[str]:
    """How often each attack was survived. Raises AssertionError with what tells of the failure."""
    survived: Counter[str] = Counter()
    end = time.monotonic() + 60 * minutes
    number = 0
    while time.monotonic() < end:
        with Siege() as siege:
            for _ in range(ATTACKS_IN_A_LIFE):
                if time.monotonic() > end:
                    break
                number += 1
                dice = Random(f"{seed} {number}")
                attack = dice.choice(ATTACKS)
                try:
                    attack(siege, dice)
                    siege.check()
                except AssertionError as error:
                    raise AssertionError(f"{attack.__name__}, attack {number}: {error}") from error
                survived[attack.__name__] += 1
            siege.check_nothing_is_left()
            print(
                f"{number} attacks; at most {siege.peak_bytes / MiB:.0f} MiB,"
                f" {siege.quiet_bytes / MiB:.0f} when quiet;"
                f" longest turn {siege.latest['slowest_s']:.2f} s",
                flush=True,
            )
    return survived


def main() -> None:
    """Do as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    try:
        survived = campaign(options.minutes, options.seed)
    except AssertionError as failed:
        traceback.print_exc()
        sys.exit(f"FAILED under seed {options.seed}: {failed}")
    for what, count in sorted(survived.items()):
        print(f"{count:6} {what}")


if __name__ == "__main__":
    main()
