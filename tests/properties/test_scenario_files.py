"""Whatever a file says, it is a scenario or a sentence, and never anything else."""

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from drystone.core.errors import UserError
from drystone.network.plan_file import LINK_KEYS, PLAN_KEYS, FileMistake
from drystone.network.scenario import Scenario, timeline
from drystone.network.scenario_file import (
    EVENT_KEYS,
    SCENARIO_KEYS,
    VERBS,
    scenario_from_document,
)
from drystone.network.topologies import TOPOLOGIES, topology

FOLDER = Path("/nowhere")

names = st.sampled_from(["n0", "n1", "n2", "x", ""])
good_or_odd = st.one_of(
    st.none().map(lambda _: True),
    st.integers(-2, 5),
    st.floats(),
    names,
    st.sampled_from(["1 s", "5 min", "2 %", "1 MB/s", "1..3", "ring", "local", *VERBS]),
    st.text(max_size=5),
    st.lists(names, max_size=3),
    st.lists(st.lists(names, max_size=3), max_size=3),
)


def tables(keys: str, more: dict[str, st.SearchStrategy[Any]] | None = None) -> Any:
    """Tables with some of these keys, of values that may be of any kind."""
    known = dict.fromkeys(keys.split(), good_or_odd) | (more or {})
    return st.fixed_dictionaries({}, optional=known)


links = tables(f"between {LINK_KEYS}")
nodes = tables("name count hashes_per_s hash_share port")
verb_keys = " ".join(keys for keys, _ in VERBS.values())
events = tables(f"{EVENT_KEYS} {verb_keys}", {"do": st.sampled_from([*VERBS])})
documents = tables(
    SCENARIO_KEYS,
    {
        "node": st.one_of(good_or_odd, st.lists(nodes, max_size=3)),
        "link": st.one_of(good_or_odd, links),
        "links": st.one_of(good_or_odd, st.lists(links, max_size=2)),
        "event": st.one_of(good_or_odd, st.lists(events, max_size=3)),
        "output": st.one_of(good_or_odd, tables("csv trace")),
    },
)


@given(document=documents)
def test_a_document_is_a_scenario_or_a_sentence(document: dict[str, Any]) -> None:
    try:
        scenario = scenario_from_document(document, FOLDER)
    except (FileMistake, UserError) as error:
        told = str(error)
        assert told and "\n" not in told and told.isprintable()
    else:
        assert isinstance(scenario, Scenario)


sound_events = st.one_of(
    st.fixed_dictionaries({"do": st.just("heal"), "at": st.sampled_from(["0 s", "5 s", "7 s"])}),
    st.fixed_dictionaries(
        {
            "do": st.just("mine"),
            "at": st.sampled_from(["1 s", "3 s"]),
            "node": st.sampled_from(["n0", "n1"]),
            "every": st.sampled_from(["2 s", "3 s"]),
            "until": st.sampled_from(["1 s", "9 s", "20 s"]),
        }
    ),
)


@given(happening=st.lists(sound_events, max_size=6))
def test_what_is_sound_is_taken_and_happens_in_order(happening: list[dict[str, str]]) -> None:
    scenario = scenario_from_document({"nodes": 2, "event": happening}, FOLDER)
    assert len(scenario.happenings) == len(happening)
    times = [at_ns for at_ns, _ in timeline(scenario.happenings)]
    assert times == sorted(times)


@given(
    description=st.one_of(
        st.sampled_from(TOPOLOGIES),
        st.integers(-1, 30).map(lambda degree: f"random:{degree}"),
        st.text(max_size=12),
    ),
    count=st.integers(0, 40),
    seed=st.integers(0, 5),
)
def test_a_topology_joins_all_or_is_refused(description: str, count: int, seed: int) -> None:
    names = [f"n{number}" for number in range(count)]
    try:
        pairs = topology(description, names, seed)
    except UserError:
        return
    assert len({frozenset(pair) for pair in pairs}) == len(pairs)
    known = {name: {name} for name in names}
    for one, other in pairs:
        assert one != other
        joined = known[one] | known[other]
        for name in joined:
            known[name] = joined
    assert all(len(group) == count for group in known.values())


def test_every_key_of_a_plan_is_tried() -> None:
    assert {*PLAN_KEYS.split()} <= {*SCENARIO_KEYS.split()}
