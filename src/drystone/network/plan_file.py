"""`network.toml`: a network written down. `docs/scenarios.md` shows one and explains each key.

Every mistake ends in one sentence: which file, which key, what was found, what is wanted.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from drystone.consensus.chains import LOCAL
from drystone.consensus.params import Params
from drystone.core.errors import UserError
from drystone.core.link import LinkSettings
from drystone.core.tables import (
    Kind,
    Table,
    TableMistake,
    list_of,
    number,
    text,
    toml_document,
    whole,
)
from drystone.core.time import MILLISECOND_NS
from drystone.mining.accounts import FUNDED
from drystone.mining.rates import shares
from drystone.network.chains import params_of
from drystone.network.plan import (
    A_NAME,
    DEFAULT_LINK,
    DEFAULT_TOPOLOGY,
    MOST_NODES,
    NAME_PATTERN,
    LinkPlan,
    NodePlan,
    Plan,
    usual_hashes_per_s,
    usual_names,
)
from drystone.network.quantities import (
    A_DURATION,
    A_RATE,
    A_SHARE,
    bytes_per_s,
    duration_ns,
    share,
)
from drystone.network.topologies import Pair, topology

MOST_FILE_BYTES: Final = 4_000_000
MOST_HASHES_PER_S: Final = 10**24
MAX_SEED: Final = (1 << 63) - 1

PLAN_KEYS: Final = "chain seed nodes node hashes_per_s topology connections link links accounts"
LINK_KEYS: Final = "latency latency_ms jitter jitter_ms bandwidth bandwidth_bytes_per_s loss"

T = TypeVar("T")
Names = dict[str, None]  # in order, and found fast


class FileMistake(TableMistake):
    """A mistake in a plan or a scenario; it becomes a UserError where the file's name is known."""


def read_plan(path: Path) -> Plan:
    """The network that a file describes. Raises UserError."""
    return read_file(path, lambda document: plan_from_document(document, path.parent))


def read_file(path: Path, read: Callable[[dict[str, Any]], T]) -> T:
    """What a TOML file holds, read by a function that may raise FileMistake or UserError.

    Raises UserError, which begins with the file's name.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no such name is possible"
        raise UserError(f"can't read {path}: {reason}") from None
    if len(data) > MOST_FILE_BYTES:
        raise UserError(f"{path}: larger than {MOST_FILE_BYTES:,} bytes; is it the right file?")
    try:
        return read(toml_document(data.decode(), FileMistake))
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: byte {error.start:,} is no UTF-8; is it the right file?"
        ) from None
    except (FileMistake, UserError) as error:
        raise UserError(f"{path}: {error}") from None


def plan_from_document(document: dict[str, Any], folder: Path) -> Plan:
    """The network that a whole file describes. folder: where chain files are looked for.

    Raises FileMistake or UserError.
    """
    return plan_from_table(Table(document, "", PLAN_KEYS, FileMistake), folder)


def plan_from_table(root: Table, folder: Path) -> Plan:
    """The network that some of a table's keys describe. Raises FileMistake or UserError."""
    params = _chain(root, folder)
    seed = root.get("seed", SEED, default=0)
    nodes = _nodes(root, usual_hashes_per_s(params))
    names = dict.fromkeys(node.name for node in nodes)
    common = link_settings(root.table("link", LINK_KEYS), DEFAULT_LINK)
    return Plan(
        nodes=tuple(nodes),
        params=params,
        connections=_connections(root, names, seed),
        link=common,
        links=tuple(_links(root, names, common)),
        accounts=root.get("accounts", _ACCOUNTS, default=FUNDED),
        seed=seed,
    )


def _chain(root: Table, folder: Path) -> Params:
    name = root.get("chain", _CHAIN, default=LOCAL.name)
    try:
        return params_of(name, folder)
    except UserError as error:
        raise FileMistake(f"chain: {error}") from None


# Nodes.


def _nodes(root: Table, usual_rate: int) -> list[NodePlan]:
    root.at_most_one("nodes", "node")
    if "nodes" in root:
        count = root.need("nodes", _COUNT)
        total = root.get("hashes_per_s", HASH_RATE, default=usual_rate)
        rates = shares(total, count)
        return [NodePlan(name, rate) for name, rate in zip(usual_names(count), rates, strict=True)]
    tables = root.tables("node", "name count hashes_per_s hash_share port")
    if not tables:
        raise root.error("nodes", None, "how many nodes there are, or a [[node]] table for each")
    return _described_nodes(root, tables, usual_rate)


def _described_nodes(root: Table, tables: list[Table], usual_rate: int) -> list[NodePlan]:
    """Each table is a node, or `count` alike. Who says nothing of its hash rate shares the rest."""
    total = root.get("hashes_per_s", HASH_RATE, default=None)
    whole_rate = usual_rate if total is None else total
    names: list[str] = []
    ports: list[int | None] = []
    rates: list[int | None] = []
    taken: dict[str, Table] = {}
    for table in tables:
        own, port = _own_rate(table, whole_rate), _own_port(table)
        for name in _own_names(table, len(names)):
            if name in taken:
                raise table.error("name", name, "a name that no other node has")
            taken[name] = table
            names.append(name)
            rates.append(own)
            ports.append(port)
        if len(names) > MOST_NODES:
            raise table.error("count", len(names), f"at most {MOST_NODES:,} nodes in all")
    own_sum = sum(rate for rate in rates if rate is not None)
    if total is not None and own_sum > total:
        wanted = f"at least the {own_sum:,} that nodes have of their own"
        raise root.error("hashes_per_s", total, wanted)
    sharing = rates.count(None)
    rest = iter(shares(max(0, whole_rate - own_sum), sharing) if sharing else [])
    return [
        NodePlan(name, next(rest) if rate is None else rate, port)
        for name, rate, port in zip(names, rates, ports, strict=True)
    ]


def _own_names(table: Table, number: int) -> list[str]:
    if "count" not in table:
        return [table.get("name", NODE_NAME, default=f"n{number}")]
    count = table.need("count", _COUNT)
    if "port" in table:
        raise table.error("port", table.values["port"], "none where count is: ports differ")
    if "name" not in table:
        return [f"n{number + i}" for i in range(count)]
    stem = table.need("name", NODE_NAME)
    return [f"{stem}{i}" for i in range(count)]


def _own_rate(table: Table, whole_rate: int) -> int | None:
    match table.at_most_one("hashes_per_s", "hash_share"):
        case "hashes_per_s":
            return table.need("hashes_per_s", HASH_RATE)
        case "hash_share":
            count = table.get("count", _COUNT, default=1)
            return round(share_of(table, "hash_share") * whole_rate / count)
    return None


def _own_port(table: Table) -> int | None:
    return table.get("port", _PORT, default=None) or None


# Connections and links.


def _connections(root: Table, names: Names, seed: int) -> tuple[Pair, ...]:
    """Those of a topology and those listed. Without either, the usual topology's."""
    listed = root.get("connections", _PAIRS, default=())
    is_usual = "topology" not in root and "connections" not in root
    name = root.get("topology", _TEXT, default=DEFAULT_TOPOLOGY if is_usual else None)
    try:
        pairs = () if name is None else topology(name, list(names), seed)
    except UserError as error:
        raise FileMistake(f"topology: {error}") from None
    joined = dict.fromkeys(pairs)
    for pair in listed:
        _check_joins("connections", root, pair, names)
        if pair not in joined and pair[::-1] not in joined:
            joined[pair] = None
    return tuple(joined)


def _links(root: Table, names: Names, common: LinkSettings) -> list[LinkPlan]:
    links = []
    for table in root.tables("links", f"between {LINK_KEYS}"):
        pair = table.need("between", PAIR)
        _check_joins("between", table, pair, names)
        links.append(LinkPlan(*pair, link_settings(table, common)))
    return links


def _check_joins(key: str, table: Table, pair: Pair, names: Names) -> None:
    for name in pair:
        if name not in names:
            raise table.error(key, name, f"one of the nodes: {some_of(list(names))}")
    if pair[0] == pair[1]:
        raise table.error(key, pair[0], "two different nodes")


def some_of(names: list[str]) -> str:
    """The first few of them."""
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def link_settings(table: Table, otherwise: LinkSettings) -> LinkSettings:
    """A link as a table has it; what it says nothing of is as it would be otherwise."""
    loss = share_of(table, "loss") if "loss" in table else otherwise.loss
    return LinkSettings(
        latency_ns=_delay_ns(table, "latency", otherwise.latency_ns),
        jitter_ns=_delay_ns(table, "jitter", otherwise.jitter_ns),
        bandwidth_bytes_per_s=_bandwidth(table, otherwise.bandwidth_bytes_per_s),
        loss=loss,
    )


def _delay_ns(table: Table, key: str, otherwise_ns: int) -> int:
    match table.at_most_one(key, f"{key}_ms"):
        case None:
            return otherwise_ns
        case chosen if chosen == key:
            return table.need(key, DURATION)
    return round(table.need(f"{key}_ms", _MILLISECONDS) * MILLISECOND_NS)


def _bandwidth(table: Table, otherwise: int | None) -> int | None:
    match table.at_most_one("bandwidth", "bandwidth_bytes_per_s"):
        case None:
            return otherwise
        case "bandwidth":
            return table.need("bandwidth", _RATE)
    return table.need("bandwidth_bytes_per_s", whole(1, 10**15))


def share_of(table: Table, key: str) -> float:
    """A share, as a number or as text."""
    return table.need(key, _SHARE)


# Kinds of value.


def measured(parse: Callable[[str], T], wanted: str) -> Kind[T]:
    """A text that a parser takes, which raises UserError if it doesn't."""

    def convert(value: Any) -> T | None:
        try:
            return parse(value) if isinstance(value, str) else None
        except UserError:
            return None

    return Kind(wanted, convert)


def _share(value: Any) -> float | None:
    of_number = number(0, 1, A_SHARE).convert(value)
    return measured(share, A_SHARE).convert(value) if of_number is None else of_number


def _pair(value: Any) -> Pair | None:
    match value:
        case [str(one), str(other)]:
            return one, other
    return None


NODE_NAME: Final = text(A_NAME, NAME_PATTERN)
SEED: Final = whole(0, MAX_SEED)
HASH_RATE: Final = whole(0, MOST_HASHES_PER_S)
DURATION: Final = measured(duration_ns, A_DURATION)
PAIR: Final = Kind('two names, such as ["n0", "n1"]', _pair)
_RATE: Final = measured(bytes_per_s, A_RATE)
_SHARE: Final = Kind(A_SHARE, _share)
_MILLISECONDS: Final = number(0, 1e12, "a number of milliseconds")
_COUNT: Final = whole(1, MOST_NODES)
_PORT: Final = whole(0, 0xFFFF)
_TEXT: Final = text("a text", ".*")
_CHAIN: Final = text("a chain's name, or a chain file's", ".+")
_PAIRS: Final = list_of(PAIR, 'a list of pairs, such as [["n0", "n1"], ["n1", "n2"]]')
_ACCOUNTS: Final = list_of(NODE_NAME, 'a list of names, such as ["alice", "bob"]')
