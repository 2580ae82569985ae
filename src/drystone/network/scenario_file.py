"""Scenario files: a plan, and what happens. `docs/scenarios.md` explains each key.

Every mistake ends in one sentence: which file, which key, what was found, what is wanted.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from drystone.core.errors import UserError
from drystone.core.link import LinkSettings
from drystone.core.tables import BOOLEAN, Kind, Table, list_of, number, one_of, text, whole
from drystone.network.amounts import AN_AMOUNT, satoshis
from drystone.network.plan import Plan
from drystone.network.plan_file import (
    DURATION,
    HASH_RATE,
    LINK_KEYS,
    MAX_SEED,
    NODE_NAME,
    PAIR,
    PLAN_KEYS,
    FileMistake,
    link_settings,
    plan_from_table,
    read_file,
    some_of,
)
from drystone.network.scenario import Happening, Output, Scenario
from drystone.network.topologies import Pair
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
from drystone.primitives.amount import MAX_MONEY
from drystone.wallet.keys import keys_of, script_to
from drystone.wallet.payment import MOST_FEE_RATE

MOST_SEEDS: Final = 100_000
MOST_BLOCKS: Final = 10_000_000
MOST_TITLE: Final = 200  # characters
MOST_AT_ONCE: Final = 10_000  # blocks mined by one event
SCENARIO_KEYS: Final = f"title {PLAN_KEYS} seeds duration blocks event output"
EVENT_KEYS: Final = "at do every until"

SEEDS_WANTED: Final = 'such as "1..20", or a list such as [1, 2, 5]'


def read_scenario(path: Path, *, seed: int | None = None) -> Scenario:
    """The scenario that a file describes. seed: in place of the file's own. Raises UserError."""
    return read_file(path, lambda document: scenario_from_document(document, path.parent, seed))


def scenario_from_document(
    document: dict[str, Any], folder: Path, seed: int | None = None
) -> Scenario:
    """The same from TOML that has been read. Raises FileMistake or UserError."""
    root = Table(document, "", SCENARIO_KEYS, FileMistake)
    root.at_most_one("seed", "seeds")
    seeds = root.get("seeds", SEEDS, default=())
    if seed is None and seeds:
        seed = seeds[0]
    chosen = {} if seed is None else {"seed": seed}
    plan = plan_from_table(Table({**document, **chosen}, "", SCENARIO_KEYS, FileMistake), folder)
    output = root.table("output", "csv trace")
    return Scenario(
        plan=plan,
        happenings=_Happenings(plan).read(root),
        duration_ns=root.get("duration", _LASTING, default=None),
        blocks=root.get("blocks", whole(1, MOST_BLOCKS), default=None),
        seeds=seeds or (plan.seed,),
        title=root.get("title", _TITLE, default=""),
        output=Output(
            csv=output.get("csv", _PATH, default=None),
            trace=output.get("trace", _PATH, default=None),
        ),
    )


def seeds_from_text(words: str) -> tuple[int, ...]:
    """Those of a range, "1..20", both ends included; or a single one. Raises UserError."""
    found = re.fullmatch(r"\s*(\d{1,19})(?:\.\.(\d{1,19}))?\s*", words, re.ASCII)
    if found is not None:
        first, last = int(found[1]), int(found[2] or found[1])
        if first <= last <= MAX_SEED and last - first < MOST_SEEDS:
            return tuple(range(first, last + 1))
    raise UserError(f"{words!r} are no seeds: wanted a range such as 1..20, {MOST_SEEDS:,} at most")


class _Happenings:
    """Reads the events, one after the other: a node that is added may be named from then on."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._names = dict.fromkeys(plan.names)
        self._links: dict[frozenset[str], LinkSettings] = {
            frozenset((link.one, link.other)): link.settings for link in plan.links
        }

    def read(self, root: Table) -> tuple[Happening, ...]:
        return tuple(self._happening(root, number) for number in range(len(_events(root))))

    def _happening(self, root: Table, number: int) -> Happening:
        values, path = _events(root)[number], f"event[{number}]."
        what = Table(values, path, " ".join(values), FileMistake).need("do", _VERB)
        keys, read = VERBS[what]
        table = Table(values, path, f"{EVENT_KEYS} {keys}", FileMistake)
        at_ns = table.need("at", DURATION)
        every_ns = table.get("every", DURATION, default=None)
        until_ns = table.get("until", DURATION, default=None)
        if every_ns == 0:
            raise table.error("every", table.values["every"], "more than no time at all")
        if until_ns is not None and every_ns is None:
            raise table.error("until", table.values["until"], "none, where nothing comes again")
        if every_ns is not None and what == "add_node":
            raise table.error("every", table.values["every"], "none: a name is taken only once")
        return Happening(at_ns, read(self, table), f"event[{number}]", every_ns, until_ns)

    # Values of keys.

    def _known(self, table: Table, key: str, name: str) -> str:
        if name not in self._names:
            raise table.error(key, name, f"one of the nodes: {some_of(list(self._names))}")
        return name

    def _node(self, table: Table, key: str = "node") -> str:
        return self._known(table, key, table.need(key, NODE_NAME))

    def _pair(self, table: Table) -> Pair:
        one, other = table.need("between", PAIR)
        for name in (one, other):
            self._known(table, "between", name)
        if one == other:
            raise table.error("between", one, "two different nodes")
        return one, other

    def _account(self, table: Table, key: str) -> str:
        name = table.need(key, _WHOSE)
        try:
            keys_of(name)
        except UserError as error:
            raise table.error(key, name, f"an account: {error}") from None
        return name

    def _payee(self, table: Table, key: str) -> str:
        whom = table.need(key, _WHOSE)
        try:
            script_to(whom, self._plan.params)
        except UserError as error:
            raise table.error(key, whom, f"an account or an address: {error}") from None
        return whom

    # Verbs.

    def partition(self, table: Table) -> Verb:
        groups = table.need("groups", _GROUPS)
        seen: set[str] = set()
        for group in groups:
            for name in group:
                if self._known(table, "groups", name) in seen:
                    raise table.error("groups", name, "each node in one group only")
                seen.add(name)
        return Partition(groups, table.get("silent", BOOLEAN, default=False))

    def heal(self, _table: Table) -> Verb:
        return Heal()

    def mine(self, table: Table) -> Verb:
        return Mine(self._node(table), table.get("count", whole(1, MOST_AT_ONCE), default=1))

    def set_hashrate(self, table: Table) -> Verb:
        return SetHashrate(self._node(table), table.need("hashes_per_s", HASH_RATE))

    def pause_mining(self, _table: Table) -> Verb:
        return PauseMining()

    def resume_mining(self, _table: Table) -> Verb:
        return ResumeMining()

    def set_link(self, table: Table) -> Verb:
        """What it says nothing of is as it was planned."""
        one, other = self._pair(table)
        planned = self._links.get(frozenset((one, other)), self._plan.link)
        return SetLink(one, other, link_settings(table, planned))

    def connect(self, table: Table) -> Verb:
        return Join(*self._pair(table))

    def disconnect(self, table: Table) -> Verb:
        return Part(*self._pair(table))

    def add_node(self, table: Table) -> Verb:
        name = table.need("name", NODE_NAME)
        if name in self._names:
            raise table.error("name", name, "a name that no other node has")
        peers = table.get("connect", _NAMES, default=())
        for peer in peers:
            self._known(table, "connect", peer)
        self._names[name] = None
        return AddNode(name, table.get("hashes_per_s", HASH_RATE, default=0), peers)

    def kill(self, table: Table) -> Verb:
        return Kill(self._node(table))

    def restart(self, table: Table) -> Verb:
        return Restart(self._node(table))

    def send(self, table: Table) -> Verb:
        via = self._node(table, "via") if "via" in table else None
        owner, to, terms = self._account(table, "from"), self._payee(table, "to"), _terms(table)
        return Send(owner, to, terms.amount, via, terms.fee_rate)

    def double_spend(self, table: Table) -> Verb:
        via = table.get("via", PAIR, default=None)
        for name in via or ():
            self._known(table, "via", name)
        if via is not None and via[0] == via[1]:
            raise table.error("via", via[0], "two different nodes")
        owner = self._account(table, "from")
        to, instead = self._payee(table, "to"), self._payee(table, "instead")
        if script_to(to, self._plan.params) == script_to(instead, self._plan.params):
            raise table.error("instead", instead, "somebody else: a double spend pays two")
        terms = _terms(table)
        return SpendTwice(owner, to, instead, terms.amount, via, terms.fee_rate)

    def reorg(self, table: Table) -> Verb:
        on = self._node(table, "on") if "on" in table else None
        return Reorg(table.need("depth", whole(1, MOST_AT_ONCE)), on)


# Each verb's keys besides those of all, and what reads them.
VERBS: Final[dict[str, tuple[str, Callable[[_Happenings, Table], Verb]]]] = {
    "partition": ("groups silent", _Happenings.partition),
    "heal": ("", _Happenings.heal),
    "mine": ("node count", _Happenings.mine),
    "set_hashrate": ("node hashes_per_s", _Happenings.set_hashrate),
    "pause_mining": ("", _Happenings.pause_mining),
    "resume_mining": ("", _Happenings.resume_mining),
    "set_link": (f"between {LINK_KEYS}", _Happenings.set_link),
    "connect": ("between", _Happenings.connect),
    "disconnect": ("between", _Happenings.disconnect),
    "add_node": ("name hashes_per_s connect", _Happenings.add_node),
    "kill": ("node", _Happenings.kill),
    "restart": ("node", _Happenings.restart),
    "reorg": ("depth on", _Happenings.reorg),
    "send": ("from to amount via fee_rate", _Happenings.send),
    "double_spend": ("from to instead amount via fee_rate", _Happenings.double_spend),
}


def _events(root: Table) -> list[Any]:
    """As they are in the file: their keys depend on what they do."""
    values = root.values.get("event", [])
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise root.error("event", values, "tables that each begin with [[event]]")
    return values


class _Terms(NamedTuple):
    amount: int
    fee_rate: float | None


def _terms(table: Table) -> _Terms:
    return _Terms(table.need("amount", _AMOUNT), table.get("fee_rate", _FEE_RATE, default=None))


def _amount(value: Any) -> int | None:
    try:
        amount = satoshis(value) if isinstance(value, int | str) else 0
    except UserError:
        return None
    return amount if 0 < amount <= MAX_MONEY else None


def _seeds(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, str):
        try:
            return seeds_from_text(value)
        except UserError:
            return None
    seeds = list_of(whole(0, MAX_SEED), SEEDS_WANTED).convert(value)
    return seeds if seeds and len({*seeds}) == len(seeds) else None


def _is_line(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MOST_TITLE and value.isprintable()


SEEDS: Final = Kind(SEEDS_WANTED, _seeds)
_LASTING: Final = Kind(DURATION.wanted, lambda value: DURATION.convert(value) or None)
_VERB: Final = one_of(tuple(VERBS))
_NAMES: Final = list_of(NODE_NAME, 'a list of names, such as ["n0", "n1"]')
_GROUPS: Final = list_of(_NAMES, 'a list of groups, such as [["n0"], ["n1", "n2"]]')
_WHOSE: Final = text("a name or an address", r"[^\s]{1,100}")
_AMOUNT: Final = Kind(AN_AMOUNT, _amount)
_FEE_RATE: Final = number(0, MOST_FEE_RATE // 1_000, "satoshis for a virtual byte, at most 10,000")
_TITLE: Final = Kind("a line of text", lambda v: v if _is_line(v) else None)
_PATH: Final = text("a path", r"[^\x00]+")
