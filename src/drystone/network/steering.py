"""What a running network can be told, whoever tells it: the command line, a key, a script.

Each verb has a name, parameters and their kinds; the command line is made from this table, and
what comes through a socket is checked by it. A request is a flat object:

```json
{"verb": "partition", "groups": [["n0"], ["n1", "n2"]], "silent": false}
```
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from drystone.core.errors import UserError
from drystone.network.amounts import satoshis
from drystone.primitives.amount import MAX_MONEY

MAX_TEXT: Final = 200  # characters
MAX_ITEMS: Final = 10_000
MAX_NUMBER: Final = 1 << 53  # what JSON carries exactly


class Kind(Enum):
    """What a parameter is, on the wire and as people type it."""

    NAME = auto()  # a string
    NAMES = auto()  # an array of strings; typed as words
    GROUPS = auto()  # an array of those; typed as words, names between commas
    COUNT = auto()  # a whole number from 1
    NUMBER = auto()  # a whole number from 0
    QUANTITY = auto()  # a number from 0
    SATOSHIS = auto()  # a whole number from 1; typed in bitcoins, or with sat behind it
    FLAG = auto()  # true or false


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a verb wants to know. default: if it isn't said. is_word: typed without its name."""

    name: str
    kind: Kind
    help: str
    default: object = None
    is_required: bool = False
    is_word: bool = False
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Verb:
    """Something to be told. is_look: it changes nothing. examples: as they are typed."""

    name: str
    summary: str
    parameters: tuple[Parameter, ...] = ()
    examples: tuple[str, ...] = ()
    is_look: bool = False
    more: str = ""

    @property
    def method(self) -> str:
        """What it is called in Python."""
        return self.name.replace("-", "_")


def _needs(name: str, kind: Kind, help_: str, unit: str = "") -> Parameter:
    return Parameter(name, kind, help_, is_required=True, is_word=True, unit=unit)


_NODE = _needs("node", Kind.NAME, "A node's name, such as n0.")
_PAIR = (
    _needs("one", Kind.NAME, "A node."),
    _needs("other", Kind.NAME, "Another; connect also takes an address, such as 127.0.0.1:18444."),
)
_PAYMENT = (
    Parameter("coins", Kind.NAMES, "The coins to spend, as TXID:OUTPUT; else they are chosen."),
    Parameter("fee-rate", Kind.QUANTITY, "Satoshis per virtual byte.", unit="SAT/VB"),
)

VERBS: Final = (
    Verb(
        "status",
        "Show nodes, links, difficulty, and whether all agree.",
        examples=("status", "status --json"),
        is_look=True,
    ),
    Verb("tips", "Show the block that each node's chain ends with.", is_look=True),
    Verb(
        "tree",
        "Draw the last blocks with their forks.",
        (Parameter("heights", Kind.COUNT, "How many of the last heights.", default=20),),
        examples=("tree", "tree --heights 50"),
        is_look=True,
    ),
    Verb(
        "accounts",
        "Show alice, bob and carol, or others: addresses and what they have.",
        (
            Parameter(
                "names", Kind.NAMES, "Accounts; a node's rewards go to its name.", is_word=True
            ),
        ),
        examples=("accounts", "accounts alice n0"),
        is_look=True,
    ),
    Verb(
        "wait",
        "Wait until all nodes are on one tip, or have reached a height.",
        (
            Parameter("nodes", Kind.NAMES, "Only these nodes; else all that run.", is_word=True),
            Parameter("height", Kind.NUMBER, "Wait for this height instead."),
            Parameter(
                "limit", Kind.QUANTITY, "Seconds after which to give up.", default=60, unit="S"
            ),
        ),
        examples=("wait", "wait --height 130 --limit 120", "wait n1 n2"),
        is_look=True,
    ),
    Verb(
        "partition",
        "Cut the network into groups that can't reach each other.",
        (
            _needs("groups", Kind.GROUPS, "Nodes between commas; who is in no group is in a last."),
            Parameter("silent", Kind.FLAG, "Connections stay, and nothing arrives.", default=False),
        ),
        examples=("partition n0", "partition n0,n1 n2,n3"),
        more="Both sides go on mining. `heal` joins them, and the side with less work gives way.",
    ),
    Verb("heal", "Undo the cut: connections come back, and the losing branch gives way."),
    Verb(
        "reorg",
        "Have blocks given up, by really mining a better branch on another side.",
        (
            _needs("depth", Kind.COUNT, "How many blocks are given up."),
            Parameter(
                "on",
                Kind.NAME,
                "The node that mines the better branch; else the last.",
                unit="NODE",
            ),
        ),
        examples=("reorg 2", "reorg 3 --on n0"),
    ),
    Verb(
        "mine",
        "Have a node find blocks now.",
        (
            _NODE,
            Parameter("count", Kind.COUNT, "How many blocks; else one.", default=1, is_word=True),
        ),
        examples=("mine n0", "mine n1 3"),
    ),
    Verb(
        "hashrate",
        "Set how many hashes a second a node does.",
        (_NODE, _needs("rate", Kind.NUMBER, "Hashes per second; 0 ends its mining.", "H/S")),
        examples=("hashrate n0 10000", "hashrate n2 0"),
    ),
    Verb("pause", "Have all miners rest."),
    Verb("resume", "Have them go on."),
    Verb(
        "connect",
        "Have a node dial another, and again whenever the connection is lost.",
        _PAIR,
        examples=("connect n0 n2", "connect n0 127.0.0.1:18444"),
    ),
    Verb("disconnect", "End the connections between two nodes.", _PAIR, ("disconnect n0 n2",)),
    Verb(
        "link",
        "Set how the link between two nodes is, both ways; what isn't said is perfect.",
        (
            *(_needs("one", Kind.NAME, "A node."), _needs("other", Kind.NAME, "Another.")),
            Parameter("latency", Kind.QUANTITY, "The least delay.", default=0, unit="MS"),
            Parameter("jitter", Kind.QUANTITY, "Up to so much more.", default=0, unit="MS"),
            Parameter("bandwidth", Kind.COUNT, "Bytes per second.", unit="BYTES/S"),
            Parameter("loss", Kind.QUANTITY, "The share of packets lost, 0 to 1.", default=0),
        ),
        examples=("link n0 n1 --latency 200 --jitter 50", "link n0 n1 --loss 0.1"),
    ),
    Verb(
        "send",
        "Pay from one account to another, or to an address.",
        (
            _needs("from", Kind.NAME, "Who pays: alice, bob, carol, a node's name."),
            _needs("to", Kind.NAME, "Who is paid: an account or an address."),
            _needs("amount", Kind.SATOSHIS, "In bitcoins, such as 1.5, or such as 2000sat."),
            Parameter("via", Kind.NAME, "The node that is told; else the first.", unit="NODE"),
            *_PAYMENT,
        ),
        examples=("send alice bob 1.5", "send alice bob 2000sat --via n2 --fee-rate 5"),
    ),
    Verb(
        "double-spend",
        "Spend the same coin twice, through two nodes; the view shows which wins.",
        (
            _needs("from", Kind.NAME, "Who cheats."),
            _needs("to", Kind.NAME, "Who is paid through the first node."),
            _needs("instead", Kind.NAME, "Who is paid through the second."),
            _needs("amount", Kind.SATOSHIS, "In bitcoins, such as 1.5, or such as 2000sat."),
            Parameter("via", Kind.NAMES, "The two nodes, --via n0 --via n2; else first and last."),
            *_PAYMENT,
        ),
        examples=("double-spend alice bob carol 1",),
        more="`partition` first, and each side believes its own until `heal`.",
    ),
    Verb(
        "time",
        "Set the network's clock; time goes on from there.",
        (_needs("unix", Kind.NUMBER, "Seconds since 1970.", "UNIX"),),
        examples=("time 1800000000",),
    ),
    Verb(
        "advance",
        "Move the network's clock forward.",
        (_needs("seconds", Kind.QUANTITY, "How far.", "SECONDS"),),
        examples=("advance 600",),
    ),
    Verb("kill", "Have a node crash: what it had not written is lost.", (_NODE,), ("kill n1",)),
    Verb("restart", "Start a node that was killed, on what it had.", (_NODE,), ("restart n1",)),
    Verb(
        "add",
        "Add a node that knows nobody yet.",
        (
            Parameter("node", Kind.NAME, "Its name; else the next in line.", is_word=True),
            Parameter("rate", Kind.NUMBER, "Hashes per second.", default=0, unit="H/S"),
        ),
        examples=("add", "add dave --rate 2000"),
    ),
)

BY_NAME: Final[Mapping[str, Verb]] = {verb.name: verb for verb in VERBS}


@dataclass(frozen=True, slots=True)
class Request:
    """A verb with all its arguments, checked."""

    verb: Verb
    arguments: Mapping[str, Any]


def request_from_fields(fields: Mapping[str, object]) -> Request:
    """What came through the socket. Raises UserError."""
    name = fields.get("verb")
    verb = BY_NAME.get(name) if isinstance(name, str) else None
    if verb is None:
        shown = f" {name[:30]!r}" if isinstance(name, str) else ""
        raise UserError(f"no verb{shown}: there are {', '.join(BY_NAME)}")
    known = {parameter.name for parameter in verb.parameters}
    for key in fields:
        if key != "verb" and key not in known:
            listed = f"it takes {', '.join(sorted(known))}" if known else "it takes nothing"
            raise UserError(f"{verb.name} has no {key[:30]!r}: {listed}")
    arguments = {}
    for parameter in verb.parameters:
        value = fields.get(parameter.name)
        if value is None:
            if parameter.is_required:
                raise UserError(f"{verb.name} wants {parameter.name!r}: {parameter.help}")
            arguments[parameter.name] = parameter.default
        else:
            arguments[parameter.name] = _checked(verb, parameter, value)
    return Request(verb, arguments)


def _checked(verb: Verb, parameter: Parameter, value: object) -> object:
    is_good, wanted = _CHECKS[parameter.kind]
    if not is_good(value):
        raise UserError(f"{verb.name}: {parameter.name!r} is to be {wanted}")
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT and value.isprintable()


def _is_whole(value: object, least: int, most: int = MAX_NUMBER) -> bool:
    return type(value) is int and least <= value <= most


def _is_quantity(value: object) -> bool:
    if type(value) is int:
        return _is_whole(value, 0)
    return type(value) is float and math.isfinite(value) and 0 <= value <= MAX_NUMBER


def _are(value: object, is_good: Callable[[object], bool]) -> bool:
    return isinstance(value, list) and 0 < len(value) <= MAX_ITEMS and all(map(is_good, value))


_CHECKS: Final[Mapping[Kind, tuple[Callable[[object], bool], str]]] = {
    Kind.NAME: (_is_text, "a name"),
    Kind.NAMES: (lambda v: _are(v, _is_text), "an array of names"),
    Kind.GROUPS: (lambda v: _are(v, lambda g: _are(g, _is_text)), "an array of arrays of names"),
    Kind.COUNT: (lambda v: _is_whole(v, 1), "a whole number from 1"),
    Kind.NUMBER: (lambda v: _is_whole(v, 0), "a whole number from 0"),
    Kind.QUANTITY: (_is_quantity, "a number from 0"),
    Kind.SATOSHIS: (lambda v: _is_whole(v, 1, MAX_MONEY), "satoshis, a whole number"),
    Kind.FLAG: (lambda v: isinstance(v, bool), "true or false"),
}


def value_from_text(kind: Kind, text: str) -> Any:
    """One word as somebody has typed it. Raises UserError; `request_from_fields` has the rest."""
    match kind:
        case Kind.GROUPS:
            return [name.strip() for name in text.split(",") if name.strip()]
        case Kind.COUNT | Kind.NUMBER:
            return _whole(text)
        case Kind.QUANTITY:
            return _quantity(text)
        case Kind.SATOSHIS:
            return satoshis_from_text(text)
    return text


def _whole(text: str) -> int:
    digits = text.replace(",", "").replace("_", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 17):
        raise UserError(f"{text!r} is no whole number")
    return int(digits)


def _quantity(text: str) -> float:
    if not re.fullmatch(r"\d{1,15}(\.\d{1,15})?", text, re.ASCII):
        raise UserError(f"{text!r} is no number such as 30 or 2.5")
    return float(text)


def satoshis_from_text(text: str) -> int:
    """An amount as people write it: 1.5 is in bitcoins, 2000sat in satoshis. Raises UserError."""
    value = satoshis(text)
    if not 0 < value <= MAX_MONEY:
        raise UserError(f"{text!r} is no amount that could be paid")
    return value
