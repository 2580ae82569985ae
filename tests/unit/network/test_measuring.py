"""What is measured of a network, where it can be worked out by hand."""

from collections.abc import Callable
from pathlib import Path

import pytest

from drystone.consensus.chains import LOCAL, MAINNET
from drystone.core.errors import UserError
from drystone.core.link import LinkSettings
from drystone.core.time import MILLISECOND_NS, SECOND_NS
from drystone.network.measuring import (
    Figures,
    Measuring,
    quantile,
    reorg_depths,
    spreads,
    stale_rate,
)
from drystone.network.plan import plan_from_options
from drystone.network.running import Run
from drystone.network.scenario import Happening, Scenario
from drystone.network.verbs import (
    Heal,
    Kill,
    Mine,
    Part,
    Partition,
    Reorg,
    Restart,
    Send,
    SpendTwice,
)
from drystone.network.virtual import VirtualNetwork

MS = MILLISECOND_NS


def measured(nodes: int, topology: str = "line") -> tuple[VirtualNetwork, Measuring]:
    measuring = Measuring()
    plan = plan_from_options(
        nodes, hashes_per_s=0, topology_name=topology, link=LinkSettings.in_ms(10)
    )
    network = VirtualNetwork(plan=plan, watch=measuring.watch, warm_up_s=0)
    measuring.begin(network)
    network.run_for(5)
    return network, measuring


def test_a_block_takes_as_long_as_the_links_on_its_way() -> None:
    """In a line of five at 10 ms each: the first block is told, asked for and sent, three ways."""
    network, measuring = measured(5)
    (found,) = network.mine("n0")
    network.run_for(10)
    figures = measuring.figures()
    (block,) = figures.blocks
    assert (block.hash, block.height, block.found_by) == (found, 120, "n0")
    assert (block.found_ns, block.transactions, block.is_stale) == (5 * SECOND_NS, 1, False)
    assert block.reached == 5
    assert block.after_ns == {50: 60 * MS, 95: 120 * MS, 100: 120 * MS}
    assert figures.reorgs == () and figures.tips == (found,) and figures.best_height == 120


def test_what_lost_against_more_work_is_stale_and_was_given_up() -> None:
    network, measuring = measured(3)
    network.partition(["n0"])
    (lost,) = network.mine("n0")
    won = network.mine("n1", 2)
    cut = measuring.figures()
    assert [block.is_stale for block in cut.blocks] == [True, False, False]
    assert len(cut.tips) == 2
    network.heal()
    network.wait_until_synced()
    figures = measuring.figures()
    stale, *kept = figures.blocks
    assert (stale.hash, stale.reached, stale.after_ns) == (lost, 1, {50: None, 95: None, 100: None})
    assert [block.hash for block in kept] == won
    (reorg,) = figures.reorgs
    assert (reorg.node, reorg.depth) == ("n0", 1)
    assert (reorg.old_height, reorg.new_height) == (120, 121)
    assert (reorg.old_tip, reorg.new_tip) == (lost, won[-1])
    assert reorg_depths([figures, figures]) == {1: 2}
    assert stale_rate([figures]) == pytest.approx(1 / 3)
    n0, n1, n2 = figures.nodes
    assert (n0.found, n0.stale, n0.reorgs, n0.deepest) == (1, 1, 1, 1)
    assert (n1.found, n1.stale, n2.found, n2.reorgs) == (2, 0, 0, 0)


def test_a_node_that_comes_later_is_not_waited_for() -> None:
    network, measuring = measured(2)
    network.mine("n0")
    network.add_node("late")
    network.connect("late", "n0")
    network.run_for(60)
    (block,) = measuring.figures().blocks
    assert (block.reached, block.after_ns[100]) == (2, 30 * MS)
    network.mine("n1")
    network.run_for(5)
    assert measuring.figures().blocks[1].reached == 3


def test_traffic_outlives_a_crash() -> None:
    network, measuring = measured(2)
    before = measuring.figures()
    assert before.messages > 10 and before.sent_bytes > 24 * before.messages
    network.kill("n1")
    network.restart("n1")
    network.run_for(30)
    after = measuring.figures()
    assert all(
        now.sent_bytes > then.sent_bytes
        for now, then in zip(after.nodes, before.nodes, strict=True)
    )
    assert after.digest == network.world.trace.digest()


def test_quantiles_are_those_of_the_nearest_rank() -> None:
    assert [quantile(list(range(1, 101)), per_cent) for per_cent in (50, 90, 99)] == [50, 90, 99]
    assert [quantile([3, 5, 9], per_cent) for per_cent in (50, 90, 99)] == [5, 9, 9]
    assert quantile([7], 50) == 7 and quantile([], 50) is None


def test_stale_blocks_and_those_on_their_way_are_not_in_the_spread() -> None:
    network, measuring = measured(4, "full")
    network.mine("n0")
    network.partition(["n0"])
    network.mine("n0")
    network.mine("n1", 2)
    half, most = spreads(measuring.figures().blocks)
    assert (half.share, half.blocks, half.reached) == (50, 3, 3)
    assert (most.share, most.blocks, most.reached) == (95, 3, 1)
    assert most.quantiles_ns[50] == 30 * MS


def test_payments_are_followed_to_their_blocks() -> None:
    network, measuring = measured(3)
    race = network.double_spend("alice", "bob", "carol", "1", via=["n0", "n2"])
    measuring.paid(race)
    measuring.paid(network.send("bob", "dave", "2 BTC", via="n1"), "n1")
    measuring.refused("dave", "erin", 5, "dave can spend nothing")
    network.run_for(20)
    waiting = measuring.figures().payments
    assert [paid.height for paid in waiting] == [None] * 4
    network.mine("n2")
    network.run_for(5)
    figures = measuring.figures()
    first, second, sent, refused = figures.payments
    assert ((first, second),) == figures.races
    assert (first.to, first.via, first.height) == ("bob", "n0", None)
    assert (second.to, second.via, second.height) == ("carol", "n2", 120)
    assert (sent.owner, sent.to, sent.amount, sent.via) == ("bob", "dave", 200_000_000, "n1")
    assert (sent.race, sent.height, sent.refusal) == (None, 120, "")
    assert (refused.txid, refused.refusal) == (None, "dave can spend nothing")


# Running scenarios.


def scenario(*happenings: Happening, nodes: int = 3, **options: object) -> Scenario:
    return Scenario(plan_from_options(nodes), happenings=happenings, **options)  # type: ignore[arg-type]


def test_a_run_ends_with_its_duration_to_the_nanosecond() -> None:
    figures = Run(scenario(duration_ns=100 * SECOND_NS + 1)).go()
    assert figures.virtual_ns == 100 * SECOND_NS + 1
    assert 3 <= len(figures.blocks) <= 25


def test_a_run_ends_with_its_last_block_once_everybody_has_it() -> None:
    figures = Run(scenario(blocks=7)).go()
    assert figures.best_height == 119 + 7
    assert len(figures.tips) == 1
    assert figures.blocks[-1].after_ns[100] is not None


def test_whichever_end_comes_first_is_the_end() -> None:
    assert len(Run(scenario(blocks=2, duration_ns=SECOND_NS * 10_000)).go().blocks) < 5
    assert Run(scenario(blocks=10_000, duration_ns=SECOND_NS)).go().virtual_ns == SECOND_NS


def test_things_happen_at_their_times() -> None:
    cut = Partition((("n0",),))
    run = Run(
        scenario(
            Happening(50 * SECOND_NS, cut, "event[0]"),
            Happening(400 * SECOND_NS, Heal(), "event[1]"),
            Happening(450 * SECOND_NS, Kill("n1"), "event[2]"),
            Happening(460 * SECOND_NS, Restart("n1"), "event[3]"),
            duration_ns=500 * SECOND_NS,
        )
    )
    lines: list[str] = []
    run.network.world.trace.sink = lines.append
    run.go()
    text = "".join(lines)
    for line in (
        "50000000000 network partition (('n0',),) False\n",
        "400000000000 network heal\n",
        "450000000000 n1 is killed\n",
        "460000000000 n1 restarts\n",
    ):
        assert line in text


def test_a_reorganisation_by_hand_is_measured() -> None:
    happening = Happening(30 * SECOND_NS, Reorg(4, "n2"), "event[0]")
    figures = Run(scenario(happening, duration_ns=300 * SECOND_NS)).go()
    assert {reorg.node for reorg in figures.reorgs if reorg.depth >= 4} == {"n0", "n1"}


def test_a_payment_that_no_node_takes_is_counted_and_ends_nothing() -> None:
    figures = Run(
        scenario(
            Happening(SECOND_NS, Send("nobody", "bob", 5_000), "event[0]"),
            Happening(SECOND_NS, SpendTwice("alice", "bob", "carol", 10**8), "event[1]"),
            duration_ns=200 * SECOND_NS,
        )
    ).go()
    refused, *two = figures.payments
    assert refused.refusal.startswith("nobody can spend 0 satoshis")
    assert sum(paid.height is not None for paid in two) == 1


def test_progress_is_told_and_may_end_it() -> None:
    seen: list[int] = []

    def enough(run: Run) -> bool:
        seen.append(run.virtual_ns)
        return len(seen) < 5

    figures = Run(scenario(duration_ns=1_000 * SECOND_NS)).go(enough)
    assert seen == [SECOND_NS * n for n in range(1, 6)]
    assert figures.virtual_ns == 5 * SECOND_NS


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (lambda: Run(scenario()), "nothing says when it is over: give it a duration"),
        (
            lambda: Run(Scenario(plan_from_options(2, hashes_per_s=0), blocks=1)).go(),
            "no block has come for .*, and nothing else is to happen: give nodes a hash rate",
        ),
        (
            lambda: Run(
                scenario(
                    Happening(0, Partition((("n0",), ("n1", "n2"))), "event[0]"),
                    Happening(100 * SECOND_NS, Reorg(1), "event[1]"),
                    duration_ns=200 * SECOND_NS,
                )
            ).go(),
            r"event\[1\], at .*: the network is cut already: heal it before a reorganisation",
        ),
        (
            lambda: Run(
                scenario(
                    Happening(5 * SECOND_NS, Part("n1", "n2"), "event[0]"),
                    Happening(5 * SECOND_NS, Part("n2", "n0"), "event[0]"),
                    Happening(100 * SECOND_NS, Reorg(1), "event[1]"),
                    duration_ns=200 * SECOND_NS,
                )
            ).go(),
            r"event\[1\], at .*: the nodes do not come to agree, not reached within .*connected",
        ),
        (
            lambda: Run(scenario(Happening(0, Mine("n9"), "event[0]"), duration_ns=SECOND_NS)).go(),
            r"event\[0\], at 0 s: there is no node n9",
        ),
    ],
)
def test_what_can_not_be_run_is_told(broken: Callable[[], Figures], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        broken()


def test_the_history_of_local_is_no_news(tmp_path: Path) -> None:
    figures = Run(Scenario(plan_from_options(1, params=LOCAL), duration_ns=1)).go()
    assert figures.blocks == () and stale_rate([figures]) is None


def test_a_chain_that_is_too_hard_to_search_is_told_with_the_way_out() -> None:
    plan = plan_from_options(2, params=MAINNET, hashes_per_s=10**9)
    with pytest.raises(UserError, match=r'lower hash rate, or take a chain with pow = "assumed"$'):
        Run(Scenario(plan, duration_ns=600 * SECOND_NS)).go()
