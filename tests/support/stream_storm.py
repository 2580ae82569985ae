"""Hosts that dial, talk, hang up and crash at random, over links that are changed and cut.

Run by itself it prints the trace: `python -m tests.support.stream_storm SEED`.
"""

import sys
from collections import Counter
from collections.abc import Sequence

from drystone.core.chance import Stream
from drystone.core.link import LinkSettings
from drystone.core.time import MILLISECOND_NS
from tests.support.streams import SimWires

NAMES = "abcdefgh"
DEEDS = 300
LONGEST_MS = 400  # between deeds
QUIET_S = 120  # longer than any packet is sent again
_DEEDS = ["dial"] * 3 + ["say"] * 12 + ["close", "crash", "link", "cut", "heal"]
_LETTERS = bytes(range(256)) * 8


class Storm:
    """One run. Each host says the letters, from 0 to 255 and again, to each of its peers.

    So whoever hears anything but the letters from 0 on knows that bytes were lost or turned round.
    """

    def __init__(self, seed: int) -> None:
        self._chance = Stream(seed, "storm")
        self.net = SimWires(*NAMES, seed=seed, link=self._settings())
        self.deeds: Counter[str] = Counter()
        self.heard = 0  # bytes
        self._said: dict[tuple[object, int], int] = {}  # bytes, by host and peer

    def run(self) -> None:
        """Let it rage, then heal and come to rest."""
        for _ in range(DEEDS):
            self._do_something()
            self.net.world.run_for(self._chance.below(LONGEST_MS) * MILLISECOND_NS)
        self.net.network.heal()
        self.net.run(QUIET_S)
        self._check()

    def _do_something(self) -> None:
        name = self._one_of(NAMES)
        host = self.net[name]
        deed = self._one_of(_DEEDS)
        self.deeds[deed] += 1
        match deed:
            case "dial":
                host.streams.dial(self._one_of(NAMES))
            case "say":
                for peer in list(host.there):
                    self._say(name, peer)
            case "close":
                for peer in list(host.there)[:1]:
                    host.streams.close(peer)
            case "crash":
                self._check()
                host.streams.crash()
                self.net.attach(name)
            case "link":
                self.net.network.set_link(name, self._one_of(NAMES), self._settings())
            case "cut":
                middle = 1 + self._chance.below(len(NAMES) - 1)
                silent = self._chance.happens(0.5)
                self.net.network.partition(NAMES[:middle], NAMES[middle:], silent=silent)
            case _:
                self.net.network.heal()

    def _say(self, name: str, peer: int) -> None:
        host = self.net[name]
        for _ in range(1 + self._chance.below(3)):
            begin = self._said.get((host, peer), 0)
            size = self._chance.below(1000)
            host.streams.send(peer, _LETTERS[begin % 256 :][:size])
            self._said[host, peer] = begin + size

    def _check(self) -> None:
        """All that anybody has heard, and that everything is heard where nothing ended."""
        for host in self.net.hosts.values():
            for came in host.came.values():
                assert came == (_LETTERS * (len(came) // len(_LETTERS) + 1))[: len(came)]
                self.heard += len(came)

    def _settings(self) -> LinkSettings:
        chance = self._chance
        return LinkSettings(
            latency_ns=chance.below(50) * MILLISECOND_NS,
            jitter_ns=chance.below(100) * MILLISECOND_NS,
            bandwidth_bytes_per_s=10_000 + chance.below(10**6) if chance.happens(0.5) else None,
            loss=chance.below(90) / 100 if chance.happens(0.3) else 0.0,
        )

    def _one_of(self, things: Sequence[str]) -> str:
        return things[self._chance.below(len(things))]


def main(seed: int) -> None:
    """Print the trace, then its digest."""
    storm = Storm(seed)
    storm.run()
    trace = storm.net.world.trace
    sys.stdout.write("".join(f"{line}\n" for line in trace.lines))
    sys.stdout.write(f"{trace.digest()} over {trace.events} events\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
