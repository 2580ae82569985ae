"""A classic network in virtual time with everything that can go wrong, as a seed has it.

Run by itself it prints the trace: `python -m tests.support.classic_faults SEED NODES`.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from drystone.core.chance import Stream
from drystone.core.time import MILLISECOND_NS, SECOND_NS
from drystone.network.classic.virtual import VirtualClassic
from drystone.sim.datagrams import DatagramLink
from tests.interop import tutorial_peer as tutorial

QUIET_S = 5  # longer than any link's delay


class FaultyNetwork:
    """Nodes that start at random, links that delay, lose and reorder, cuts that come and go.

    After every event it is checked that no node has changed its chain for one that is not longer,
    and that what it holds is valid in the eyes of the hand-written peer.
    """

    def __init__(self, seed: int, nodes: int, *, keep_trace: bool = False) -> None:
        self.seed = seed
        self._faulty_s = 120 if nodes < 10 else 45  # for some five blocks
        self._chance = Stream(seed, "faults", nodes)
        ports = tuple(range(7000, 7000 + nodes))
        starts_s = {port: self._chance.below(20_000) / 1000 for port in ports}
        self.network = VirtualClassic(seed, ports, starts_s=starts_s, keep_trace=keep_trace)
        self.copied_over = 0
        self._nodes = tuple(self.network.nodes.values())
        self._held = [node.chain for node in self._nodes]
        self._valid: set[bytes] = set()
        self._set_links()
        for _ in range(2):
            self._plan_a_cut()
        self.network.world.invariants.append(self._check_chains)

    def _set_links(self) -> None:
        ports = tuple(self.network.nodes)
        for source in ports:
            for destination in ports:
                link = DatagramLink(
                    latency_ns=self._chance.below(800) * MILLISECOND_NS,
                    jitter_ns=self._chance.below(1500) * MILLISECOND_NS,
                    loss=self._chance.below(40) / 100,
                )
                self.network.links.set_link(source, destination, link)

    def _plan_a_cut(self) -> None:
        """Somewhen, into two or three groups, for up to half of the time."""
        groups: list[list[int]] = [[] for _ in range(2 + self._chance.below(2))]
        for port in self.network.nodes:
            groups[self._chance.below(len(groups))].append(port)
        world, links = self.network.world, self.network.links
        start_ns = self._chance.below(self._faulty_s) * SECOND_NS
        world.at(start_ns, lambda: links.partition(*groups))
        length_ns = self._chance.below(self._faulty_s // 2) * SECOND_NS
        world.at(start_ns + length_ns, links.heal)

    def _check_chains(self) -> None:
        chains = [node.chain for node in self._nodes]
        if chains == self._held:  # the usual case, and quick: the same objects
            return
        for node, chain, before in zip(self._nodes, chains, self._held, strict=True):
            if chain is before:
                continue
            if len(chain.blocks) <= len(before.blocks):
                raise AssertionError(
                    f"node {node.port} gave up {len(before.blocks)} blocks for {len(chain.blocks)}"
                )
            if not chain.data.startswith(before.data):
                self.copied_over += 1
            if chain.data not in self._valid:
                tutorial.check(chain.data)
                self._valid.add(chain.data)
        self._held = chains

    def run(self) -> None:
        """Let it go wrong; then mend everything, and let the network come to agreement."""
        self.network.run_for(self._faulty_s)
        links = self.network.links
        links.heal()
        ports = tuple(self.network.nodes)
        for source in ports:
            for destination in ports:
                links.set_link(source, destination, DatagramLink(jitter_ns=SECOND_NS))
        self.network.run_for(QUIET_S)
        self.network.settle()


@contextmanager
def replayable(seed: int, nodes: int) -> Iterator[None]:
    """A failure within tells its seed, and how to see it again."""
    try:
        yield
    except BaseException as error:
        error.add_note(
            f"seed {seed}, {nodes} nodes; its trace:"
            f" python -m tests.support.classic_faults {seed} {nodes}"
        )
        raise


def main(seed: int, nodes: int) -> None:
    """Print the trace as it grows, then its digest."""
    faulty = FaultyNetwork(seed, nodes, keep_trace=True)
    try:
        faulty.run()
    finally:
        trace = faulty.network.world.trace
        sys.stdout.write("".join(f"{line}\n" for line in trace.lines))
        sys.stdout.write(f"{trace.digest()} over {trace.events} events\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
