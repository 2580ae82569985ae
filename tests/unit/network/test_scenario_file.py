"""Scenarios, as a file describes them."""

from itertools import islice
from pathlib import Path

import pytest

from drystone.core.errors import UserError
from drystone.core.link import LinkSettings
from drystone.core.time import SECOND_NS
from drystone.network.plan import plan_from_options
from drystone.network.scenario import Happening, Output, timeline
from drystone.network.scenario_file import (
    EVENT_KEYS,
    SCENARIO_KEYS,
    VERBS,
    read_scenario,
    seeds_from_text,
)
from drystone.network.verbs import (
    AddNode,
    Heal,
    Join,
    Kill,
    Mine,
    Part,
    Partition,
    PauseMining,
    Reorg,
    Restart,
    ResumeMining,
    Send,
    SetHashrate,
    SetLink,
    SpendTwice,
    Verb,
)

ROOT = Path(__file__).parents[3]
SEND = 'do = "send"\nfrom = "alice"\nto = "bob"\n'
TWICE = 'do = "double_spend"\nfrom = "a"\nto = "b"\ninstead = "c"\namount = 1\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "scenario.toml"
    path.write_text(text)
    return path


def event(text: str) -> str:
    return f'nodes = 3\n[link]\nloss = 0.5\n[[event]]\nat = "1 s"\n{text}'


def test_a_scenario_is_a_plan_and_an_end_and_what_happens(tmp_path: Path) -> None:
    scenario = read_scenario(
        written(
            tmp_path,
            """
            title = "a test"
            nodes = 4
            seeds = "5..7"
            duration = "10 min"
            blocks = 12
            [output]
            csv = "figures"
            trace = "all.txt"
            [[event]]
            at = "90 s"
            do = "heal"
            [[event]]
            at = "1 s"
            every = "2 s"
            until = "6 s"
            do = "mine"
            node = "n1"
            """,
        )
    )
    assert scenario.plan == plan_from_options(4, seed=5)
    assert (scenario.title, scenario.seeds) == ("a test", (5, 6, 7))
    assert (scenario.duration_ns, scenario.blocks) == (600 * SECOND_NS, 12)
    assert scenario.output == Output("figures", "all.txt")
    assert scenario.happenings == (
        Happening(90 * SECOND_NS, Heal(), "event[0]"),
        Happening(SECOND_NS, Mine("n1"), "event[1]", 2 * SECOND_NS, 6 * SECOND_NS),
    )


def test_a_seed_that_is_asked_for_takes_the_place_of_the_files(tmp_path: Path) -> None:
    path = written(tmp_path, 'nodes = 20\ntopology = "random:4"\nseeds = [1, 2]')
    first, second = read_scenario(path), read_scenario(path, seed=2)
    assert (first.plan.seed, second.plan.seed) == (1, 2)
    assert first.plan.connections != second.plan.connections
    assert read_scenario(path, seed=1) == first
    alone = read_scenario(written(tmp_path, "nodes = 3\nseed = 9"))
    assert alone.seeds == (9,)


@pytest.mark.parametrize(
    ("text", "verb"),
    [
        ('do = "partition"\ngroups = [["n0"], ["n1"]]', Partition((("n0",), ("n1",)))),
        ('do = "partition"\ngroups = [["n0"]]\nsilent = true', Partition((("n0",),), True)),
        ('do = "heal"', Heal()),
        ('do = "mine"\nnode = "n1"\ncount = 5', Mine("n1", 5)),
        ('do = "set_hashrate"\nnode = "n1"\nhashes_per_s = 0', SetHashrate("n1", 0)),
        ('do = "pause_mining"', PauseMining()),
        ('do = "resume_mining"', ResumeMining()),
        (
            'do = "set_link"\nbetween = ["n0", "n2"]\nlatency_ms = 5',
            SetLink("n0", "n2", LinkSettings.in_ms(5, loss=0.5)),
        ),
        ('do = "connect"\nbetween = ["n0", "n2"]', Join("n0", "n2")),
        ('do = "disconnect"\nbetween = ["n0", "n2"]', Part("n0", "n2")),
        (
            'do = "add_node"\nname = "late"\nhashes_per_s = 7\nconnect = ["n0"]',
            AddNode("late", 7, ("n0",)),
        ),
        ('do = "kill"\nnode = "n1"', Kill("n1")),
        ('do = "restart"\nnode = "n1"', Restart("n1")),
        ('do = "reorg"\ndepth = 3\non = "n1"', Reorg(3, "n1")),
        ('do = "reorg"\ndepth = 3', Reorg(3)),
        (
            'do = "send"\nfrom = "alice"\nto = "bob"\namount = "1.5 BTC"',
            Send("alice", "bob", 150_000_000),
        ),
        (
            'do = "send"\nfrom = "alice"\nto = "zoe"\namount = 9\nvia = "n1"\nfee_rate = 1.5',
            Send("alice", "zoe", 9, "n1", 1.5),
        ),
        (
            'do = "double_spend"\nfrom = "a"\nto = "b"\ninstead = "c"\namount = "10 sat"',
            SpendTwice("a", "b", "c", 10),
        ),
        (
            f'{TWICE}via = ["n0", "n2"]\nfee_rate = 3',
            SpendTwice("a", "b", "c", 1, ("n0", "n2"), 3),
        ),
    ],
)
def test_each_verb_is_read(tmp_path: Path, text: str, verb: Verb) -> None:
    (happening,) = read_scenario(written(tmp_path, event(text))).happenings
    assert happening.verb == verb


def test_a_node_that_is_added_may_be_named_from_then_on(tmp_path: Path) -> None:
    late = '[[event]]\nat = "5 s"\ndo = "kill"\nnode = "late"\n'
    text = event('do = "add_node"\nname = "late"\n') + late
    assert read_scenario(written(tmp_path, text)).happenings[1].verb == Kill("late")
    with pytest.raises(UserError, match=r'event\[0\].node: found "late", wanted one of the nodes'):
        read_scenario(written(tmp_path, f"nodes = 3\n{late}"))


def test_time_goes_forward_and_what_is_at_the_same_time_keeps_its_order() -> None:
    happenings = (
        Happening(5, Heal(), "a", every_ns=5),
        Happening(10, PauseMining(), "b"),
        Happening(2, Mine("n0"), "c", every_ns=4, until_ns=10),
    )
    some = [(at_ns, one.where) for at_ns, one in islice(timeline(happenings), 8)]
    assert some == [
        *[(2, "c"), (5, "a"), (6, "c"), (10, "a"), (10, "b"), (10, "c")],
        *[(15, "a"), (20, "a")],
    ]


@pytest.mark.parametrize(
    ("words", "seeds"), [("1..3", (1, 2, 3)), (" 7 ", (7,)), ("0..0", (0,)), ("5..5", (5,))]
)
def test_seeds_are_a_range_with_both_ends(words: str, seeds: tuple[int, ...]) -> None:
    assert seeds_from_text(words) == seeds


@pytest.mark.parametrize(
    "words",
    ["", "3..1", "a..b", "1..", "..1", "-1..3", "1...3", "0..100000", "1..99999999999999999999"],
)
def test_what_are_no_seeds_is_told(words: str) -> None:
    with pytest.raises(UserError, match=r"are no seeds: wanted a range such as 1\.\.20"):
        seeds_from_text(words)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nodes = 3\nduraton = 5", "duraton: unknown key; did you mean duration?"),
        ("nodes = 3\nduration = 5", "duration: found 5, wanted a time with its unit"),
        ('nodes = 3\nduration = "0 s"', 'duration: found "0 s", wanted a time'),
        ("nodes = 3\nblocks = 0", "blocks: found 0, wanted a whole number from 1"),
        ("nodes = 3\nseed = 1\nseeds = [1]", "seeds: says the same as seed; leave one out"),
        ('nodes = 3\nseeds = "5..1"', 'seeds: found "5..1", wanted such as "1..20"'),
        ("nodes = 3\nseeds = [1, 1]", "seeds: found [1, 1], wanted such as"),
        ("nodes = 3\nseeds = []", "seeds: found [], wanted such as"),
        ('nodes = 3\ntitle = "\\u001b[31m"', "title: found "),
        ("nodes = 3\noutput = 1", "output: found 1, wanted a table that begins with [output]"),
        ("nodes = 3\n[output]\nxml = 1", "output.xml: unknown key"),
        ("nodes = 3\nevent = 5", "event: found 5, wanted tables that each begin with [[event]]"),
        ("nodes = 3\n[[event]]", "event[0].do: missing, wanted one of partition, heal, mine"),
        ('nodes = 3\n[[event]]\ndo = "heal"', "event[0].at: missing, wanted a time with its unit"),
        (event('do = "explode"'), 'event[0].do: found "explode", wanted one of'),
        (event("do = [1]"), "event[0].do: found [1], wanted one of"),
        (event('do = "heal"\nnode = "n0"'), "event[0].node: unknown key; known are at do every"),
        (event('do = "heal"\nuntil = "5 s"'), 'event[0].until: found "5 s", wanted none'),
        (event('do = "heal"\nevery = "0 s"'), 'event[0].every: found "0 s", wanted more than'),
        (event('do = "mine"'), "event[0].node: missing, wanted a name"),
        (event('do = "mine"\nnode = "n7"'), 'found "n7", wanted one of the nodes: n0, n1, n2'),
        (event('do = "mine"\nnode = "n0"\ncount = 0'), "event[0].count: found 0"),
        (event('do = "partition"'), "event[0].groups: missing, wanted a list of groups"),
        (event('do = "partition"\ngroups = ["n0"]'), "event[0].groups: found "),
        (
            event('do = "partition"\ngroups = [["n0"], ["n0"]]'),
            'event[0].groups: found "n0", wanted each node in one group only',
        ),
        (event('do = "connect"\nbetween = ["n0", "n0"]'), "wanted two different nodes"),
        (event('do = "connect"\nbetween = ["n0"]'), "wanted two names, such as"),
        (event('do = "add_node"\nname = "n0"'), "wanted a name that no other node has"),
        (event('do = "add_node"\nname = "x"\nevery = "1 s"'), "wanted none: a name is taken only"),
        (event('do = "add_node"\nname = "x"\nconnect = ["y"]'), 'event[0].connect: found "y"'),
        (event('do = "reorg"'), "event[0].depth: missing"),
        (event(f"{SEND}amount = 1.5"), "event[0].amount: found 1.5, wanted bitcoins as text"),
        (event(f"{SEND}amount = 0"), "event[0].amount: found 0, wanted bitcoins as text"),
        (event(f'{SEND}amount = "22000000"'), 'event[0].amount: found "22000000", wanted'),
        (event(f'{SEND}amount = 1\nvia = "x"'), 'event[0].via: found "x", wanted one of the'),
        (event(f"{SEND}amount = 1\nfee_rate = -1"), "event[0].fee_rate: found -1, wanted"),
        (
            event('do = "send"\nfrom = "alice"\nto = "../x"\namount = 1'),
            'event[0].to: found "../x", wanted an account or an address',
        ),
        (
            event('do = "double_spend"\nfrom = "a"\nto = "b"\ninstead = "b"\namount = 1'),
            'event[0].instead: found "b", wanted somebody else: a double spend pays two',
        ),
        (
            event(f'{TWICE}via = ["n0", "n0"]'),
            'event[0].via: found "n0", wanted two different nodes',
        ),
        (event('do = "set_link"\nbetween = ["n0", "n1"]\nloss = "2"'), "event[0].loss: found"),
    ],
)
def test_every_mistake_is_one_line_with_file_and_key_and_what_is_wanted(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UserError) as caught:
        read_scenario(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: ") and complaint in told
    assert "\n" not in told and told.isprintable()


def test_the_page_names_every_key_and_every_verb() -> None:
    page = (ROOT / "docs" / "scenarios.md").read_text()
    keys = {*SCENARIO_KEYS.split(), *EVENT_KEYS.split(), *VERBS}
    keys.update(key for own, _ in VERBS.values() for key in own.split())
    assert [key for key in sorted(keys) if f"`{key}`" not in page] == []
