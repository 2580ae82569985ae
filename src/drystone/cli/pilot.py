"""What keys mean in the live view, and what has been typed at its prompt. It reads no keyboard."""

import shlex
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

REORG_DEPTH: Final = 2
FASTER: Final = 2  # a press of + or - doubles or halves
MAX_TYPED: Final = 200
REMEMBERED: Final = 50

KEYS: Final = (
    ("up down", "choose a node, marked ▸; digits choose it by number"),
    ("p", "partition: cut between the chosen node and those below it"),
    ("h", "heal: undo the cut"),
    ("m", "mine a block on the chosen node"),
    ("r", f"reorg: have {REORG_DEPTH} blocks given up"),
    ("space", "have all miners rest, or go on"),
    ("+ -", "double or halve the chosen node's hash rate"),
    ("k", "kill the chosen node, or restart it"),
    (":", "type a command: send alice bob 1.5, link n0 n1 --latency 300, ..."),
    ("q", "quit, as Ctrl-C does"),
)
HINT: Final = "p cut  h heal  m mine  r reorg  space pause  : command  ? help  q quit"


@dataclass(frozen=True, slots=True)
class Order:
    """Words as after `drystone net`."""

    words: tuple[str, ...]


class Quit:
    """The user has had enough."""


class Scene(NamedTuple):
    """What keys are about. names: of the nodes, in order. down: those that were killed."""

    names: Sequence[str]
    rates: Mapping[str, int]  # hashes per second
    usual_rate: int = 1  # of a node that begins to mine
    is_paused: bool = False
    down: Sequence[str] = ()


@dataclass(slots=True)
class Pilot:
    """Where the user is. typed: at the prompt; None where keys are orders of their own."""

    chosen: int = 0
    typed: str | None = None
    shows_help: bool = False
    _before: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _recalled: int = 0

    def press(self, key: str, scene: Scene) -> Order | Quit | None:
        """A key; what comes of it, besides a change of our own."""
        self.chosen = min(self.chosen, len(scene.names) - 1)
        if self.typed is not None:
            return self._type(key)
        order = _ORDERS.get(key)
        if order is not None:
            return order(scene, self.chosen)
        match key:
            case "up" | "down":
                self.chosen = (self.chosen + (1 if key == "down" else -1)) % len(scene.names)
            case "?":
                self.shows_help = not self.shows_help
            case "escape":
                self.shows_help = False
            case ":" | "/" | "enter":
                self.typed, self._recalled = "", 0
            case _ if key in "0123456789" and int(key) < len(scene.names):
                self.chosen = int(key)
        return None

    def _type(self, key: str) -> Order | None:
        typed = self.typed or ""
        match key:
            case "enter":
                self.typed = None
                return self._entered(typed)
            case "escape":
                self.typed = None
            case "backspace":
                self.typed = typed[:-1] if typed else None
            case "clear":
                self.typed = ""
            case "up" | "down":
                self._recall(1 if key == "up" else -1)
            case _ if len(key) == 1 and len(typed) < MAX_TYPED:
                self.typed = typed + key
        return None

    def _entered(self, typed: str) -> Order | None:
        typed = typed.strip()
        if not typed:
            return None
        self._before.append(typed)
        try:
            words = shlex.split(typed)
        except ValueError:  # a quotation mark without its twin
            words = typed.split()
        if words[:2] == ["drystone", "net"]:
            words = words[2:]
        return Order(tuple(words))

    def _recall(self, by: int) -> None:
        self._recalled = max(0, min(self._recalled + by, len(self._before)))
        self.typed = self._before[-self._recalled] if self._recalled else ""


def _partition(scene: Scene, chosen: int) -> Order | None:
    """Between the chosen node and the next; the last alone if it is the last."""
    names = scene.names
    if len(names) < 2:
        return None
    side = names[: chosen + 1] if chosen < len(names) - 1 else names[-1:]
    return Order(("partition", ",".join(side)))


def _faster(scene: Scene, chosen: int) -> Order:
    name = scene.names[chosen]
    return _hashrate(name, scene.rates.get(name, 0) * FASTER or scene.usual_rate)


def _slower(scene: Scene, chosen: int) -> Order:
    name = scene.names[chosen]
    return _hashrate(name, scene.rates.get(name, 0) // FASTER)


def _hashrate(name: str, rate: int) -> Order:
    return Order(("hashrate", name, str(rate)))


def _kill_or_restart(scene: Scene, chosen: int) -> Order:
    name = scene.names[chosen]
    return Order(("restart" if name in scene.down else "kill", name))


_ORDERS: Final[Mapping[str, Callable[[Scene, int], Order | Quit | None]]] = {
    "q": lambda _scene, _chosen: Quit(),
    "p": _partition,
    "h": lambda _scene, _chosen: Order(("heal",)),
    "m": lambda scene, chosen: Order(("mine", scene.names[chosen])),
    "r": lambda _scene, _chosen: Order(("reorg", str(REORG_DEPTH))),
    " ": lambda scene, _chosen: Order(("resume" if scene.is_paused else "pause",)),
    "+": _faster,
    "=": _faster,
    "-": _slower,
    "k": _kill_or_restart,
}
