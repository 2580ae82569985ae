"""Carries out what `steering` allows, on a live network, and says what came of it."""

import asyncio
import inspect
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from drystone.chain.tree import BlockNode
from drystone.core.errors import UserError
from drystone.core.link import LinkSettings
from drystone.mining.accounts import FUNDED
from drystone.network.amounts import shown_bitcoins
from drystone.network.board import Board, Link, LinkState, Row
from drystone.network.lanes import Cell, Mark, grid_of
from drystone.network.news import Fields, shown
from drystone.network.plan import A_NAME, NAME_PATTERN
from drystone.network.steering import Request, request_from_fields
from drystone.primitives.hashes import display
from drystone.wallet.keys import keys_of

MOST_HEIGHTS: Final = 200
MOST_LANES: Final = 50
MOST_LINKS: Final = 40  # more are counted, not listed
MOST_BLOCKS: Final = 10_000  # to be mined, or given up, at once
MOST_LIMIT_S: Final = 86_400.0


class Done(NamedTuple):
    """What came of a request. said: for people, perhaps several lines. result: for scripts."""

    said: str
    result: Fields


class Helm:
    """Steers one network. Orders are carried out one at a time; looks need not wait for them.

    board: is told of each order. accounts: those that are shown. tell: is given each order's line
    and fields, for whoever prints.
    """

    def __init__(
        self,
        network: Any,
        board: Board,
        *,
        accounts: Sequence[str] = FUNDED,
        tell: Callable[[str, Fields], None] = lambda _line, _fields: None,
    ) -> None:
        self._network = network
        self._board = board
        self._names = accounts
        self._tell = tell
        self._turn = asyncio.Lock()

    async def handle(self, fields: Mapping[str, Any]) -> Fields:
        """A request as it comes through a socket. Raises UserError and TimeoutError."""
        return (await self.perform(request_from_fields(fields)))._asdict()

    async def perform(self, request: Request) -> Done:
        """Carry out a request. Raises UserError and TimeoutError."""
        verb = request.verb
        carry_out: Callable[..., Awaitable[Done]] = getattr(self, f"_{verb.method}")
        arguments = {_python(name): value for name, value in request.arguments.items()}
        if verb.is_look:
            return await carry_out(**arguments)
        async with self._turn:
            done = await carry_out(**arguments)
        self._board.say(done.said)
        self._tell(done.said, {"verb": verb.name, **done.result})
        return done

    # ------------------------------------------------------------------ looks

    async def _status(self) -> Done:
        return Done("\n".join(status_lines(self._board)), self._board.described())

    async def _tips(self) -> Done:
        tips = self._board.tips
        lines = [f"{name}  {tip.height}  {display(tip.hash)}" for name, tip in tips.items()]
        agreed = "all agree" if self._board.agreed else "they don't agree"
        result = {"tips": _described_tips(tips), "agreed": self._board.agreed}
        return Done("\n".join([*lines, agreed]), result)

    async def _tree(self, heights: int) -> Done:
        board = self._board
        heights = min(heights, MOST_HEIGHTS)
        lanes = board.lanes(heights=heights, most=MOST_LANES)
        blocks = [
            {
                "height": block.height,
                "hash": display(block.hash),
                "previous": display(block.prev_hash),
                "miner": block.miner,
                "branch": number,
                "tip_of": board.holders(block.hash),
            }
            for number, lane in enumerate(lanes)
            for block in lane.blocks
        ]
        return Done("\n".join(tree_lines(board, heights)), {"blocks": blocks})

    async def _wait(self, nodes: list[str] | None, height: int | None, limit: float) -> Done:
        names = nodes or list(self._board.tips)
        cores = {name: self._network[name].node for name in names}
        limit_s = min(limit, MOST_LIMIT_S)
        try:
            if height is None:
                await self._network.wait_until_synced(names, limit_s=limit_s)
            else:
                await self._network.wait_until(
                    lambda: all(core.chain.height >= height for core in cores.values()),
                    limit_s=limit_s,
                )
        except TimeoutError:
            heights = ", ".join(f"{name} {core.chain.height}" for name, core in cores.items())
            wanted = "agreed" if height is None else f"reached {height}"
            raise TimeoutError(f"they have not {wanted} within {limit:g} s: {heights}") from None
        tips = {name: core.chain.tip for name, core in cores.items()}
        first = next(iter(tips.values()))
        said = ", ".join(names) + (
            f" agree on block {first.height} {display(first.hash)}"
            if height is None
            else f" have reached {height}"
        )
        return Done(said, {"tips": _described_tips(tips)})

    # ------------------------------------------------------------------ cuts and links

    async def _partition(self, groups: list[list[str]], *, silent: bool) -> Done:
        await self._do(self._network.partition, *groups, silent=silent)
        named = {name for group in groups for name in group}
        rest = [name for name in self._network.nodes if name not in named]
        sides = [*groups, rest] if rest else groups
        shown_sides = " | ".join(" ".join(side) for side in sides)
        return Done(f"cut{', silently' * silent}: {shown_sides}", {"sides": sides})

    async def _heal(self) -> Done:
        await self._do(self._network.heal)
        return Done("healed: all may reach all", {})

    async def _connect(self, one: str, other: str) -> Done:
        await self._do(self._network.connect, one, other)
        return Done(f"{one} dials {other}", {"one": one, "other": other})

    async def _disconnect(self, one: str, other: str) -> Done:
        await self._do(self._network.disconnect, one, other)
        return Done(f"{one} and {other} are connected no more", {"one": one, "other": other})

    async def _link(
        self,
        *,
        one: str,
        other: str,
        latency: float,
        jitter: float,
        bandwidth: int | None,
        loss: float,
    ) -> Done:
        for name in (one, other):
            self._network[name]  # raises if there is none
        settings = LinkSettings.in_ms(latency, jitter, bandwidth, float(loss))
        await self._do(self._network.set_link, one, other, settings)
        bounds = f", {bandwidth:,} bytes/s" if bandwidth is not None else ""
        lost = f", {loss:.0%} of packets lost" if loss else ""
        said = f"link {one}-{other}: {latency:g} ms, up to {jitter:g} ms more{bounds}{lost}"
        return Done(said, {"one": one, "other": other})

    # ------------------------------------------------------------------ mining

    async def _mine(self, node: str, count: int) -> Done:
        if count > MOST_BLOCKS:
            raise UserError(f"{count:,} blocks are too many at once: at most {MOST_BLOCKS:,}")
        found = await self._do(self._network.mine, node, count)
        height = self._network[node].node.chain.height
        blocks = f"block {height}" if count == 1 else f"{count} blocks up to {height}"
        said = f"{node} has mined {blocks} {shown(found[-1])}"
        return Done(said, {"node": node, "height": height, "hashes": list(map(display, found))})

    async def _reorg(self, depth: int, on: str | None) -> Done:
        if depth > MOST_BLOCKS:
            raise UserError(f"a reorganisation gives up {MOST_BLOCKS:,} blocks at most")
        lost, taken = await self._do(self._network.reorg, depth, on=on)
        said = f"reorganised: {depth} block{'s' * (depth != 1)} up to {shown(lost)} gave way"
        return Done(f"{said} to {shown(taken)}", {"lost": display(lost), "taken": display(taken)})

    async def _hashrate(self, node: str, rate: int) -> Done:
        await self._do(self._network.set_hashrate, node, rate)
        said = f"{node} does {rate:,} hashes/s from now on" if rate else f"{node} mines no more"
        return Done(said, {"node": node, "hashes_per_s": rate})

    async def _pause(self) -> Done:
        await self._do(self._network.pause_mining)
        self._board.is_paused = True
        return Done("all miners rest: `resume` has them go on", {})

    async def _resume(self) -> Done:
        await self._do(self._network.resume_mining)
        self._board.is_paused = False
        return Done("all miners go on", {})

    # ------------------------------------------------------------------ payments

    async def _accounts(self, names: list[str] | None) -> Done:
        names = names or list(self._names)
        described = {
            name: {
                "address": keys_of(name).address(self._board.params),
                **{f"{key}_sat": value for key, value in balance._asdict().items()},
            }
            for name in names
            for balance in [self._network.balance(name)]
        }
        said = "\n".join(self._network.account_lines(names))
        return Done(said, {"accounts": described})

    async def _send(
        self,
        *,
        from_: str,
        to: str,
        amount: int,
        via: str | None,
        coins: list[str] | None,
        fee_rate: float | None,
    ) -> Done:
        payment = await self._do(
            self._network.send, from_, to, amount, via=via, coins=coins, fee_rate=fee_rate
        )
        said = f"{from_} pays {shown_bitcoins(amount)} to {to}: {shown(payment.txid)}"
        return Done(said, {"txid": display(payment.txid), "amount_sat": amount})

    async def _double_spend(
        self,
        *,
        from_: str,
        to: str,
        instead: str,
        amount: int,
        via: list[str] | None,
        coins: list[str] | None,
        fee_rate: float | None,
    ) -> Done:
        race = await self._do(
            self._network.double_spend,
            *(from_, to, instead, amount),
            via=via,
            coins=coins,
            fee_rate=fee_rate,
        )
        txids = [race.first.txid, race.second.txid]
        self._board.follow_race(dict(zip(txids, (to, instead), strict=True)))
        one, other = race.via
        both = f"to {to} through {one} and to {instead} through {other}"
        said = f"{from_} pays the same {shown_bitcoins(amount)} {both}"
        return Done(said, {"txids": list(map(display, txids)), "via": list(race.via)})

    # ------------------------------------------------------------------ time, coming and going

    async def _time(self, unix: int) -> Done:
        await self._do(self._network.set_time, unix)
        return Done(f"the clock stands at {unix}", {"unix": unix})

    async def _advance(self, seconds: float) -> Done:
        await self._do(self._network.advance, seconds)
        return Done(f"the clock has moved on by {seconds:g} s", {"seconds": seconds})

    async def _kill(self, node: str) -> Done:
        await self._do(self._network.kill, node)
        return Done(f"{node} is killed: `restart {node}` brings it back", {"node": node})

    async def _restart(self, node: str) -> Done:
        await self._do(self._network.restart, node)
        height = self._network[node].node.chain.height
        return Done(f"{node} has restarted at block {height}", {"node": node, "height": height})

    async def _add(self, node: str | None, rate: int) -> Done:
        if node is not None and not re.fullmatch(NAME_PATTERN, node):
            raise UserError(f"{node!r} can't name a node: take {A_NAME}")
        added = await self._do(self._network.add_node, node, hashes_per_s=rate)
        self._board.joined(added.name)
        said = f"{added.name} listens at {added.address}: `connect {added.name} NODE` joins it"
        return Done(said, {"node": added.name, "address": str(added.address)})

    @staticmethod
    async def _do(verb: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """What a verb returns, after it was waited for if it is a coroutine."""
        outcome = verb(*arguments, **named)
        return await outcome if inspect.isawaitable(outcome) else outcome


def _described_tips(tips: Mapping[str, BlockNode]) -> Fields:
    return {name: {"height": t.height, "hash": display(t.hash)} for name, t in tips.items()}


def _python(name: str) -> str:
    """A parameter's name as Python has it."""
    return "from_" if name == "from" else name.replace("-", "_")


# ---------------------------------------------------------------------- in words


def status_lines(board: Board) -> list[str]:
    """A network now, a line for each thing."""
    best = board.best
    agreed = agreement(board)
    at = f"block {best.height} {shown(best.hash)}"
    return [
        f"chain {board.params.name} at {at}: {agreed}{board.stale} stale",
        difficulty_line(board),
        *(row_line(board.row(name)) for name in board.nodes),
        links_line(board),
    ]


def agreement(board: Board) -> str:
    """Whether nodes agree, before a further fact; nothing where there is but one."""
    if len(board.nodes) < 2:
        return ""
    return "all agree, " if board.agreed else "they don't agree, "


def difficulty_line(board: Board) -> str:
    """What a block takes, and when that changes."""
    if board.hashes_per_block < 1 << 20:
        line = f"a block takes {board.hashes_per_block:,} hashes on average"
    else:
        line = f"a block takes {board.hashes_per_block:.4g} hashes on average"
    seconds = board.seconds_per_block
    if board.is_paused:
        line += ", and all miners rest"
    elif seconds is None:
        line += ", and nobody mines by hash rate"
    else:
        line += f": {shown_seconds(seconds)} at {board.hashes_per_s:,} hashes/s"
    at = board.next_retarget
    return line if at is None else f"{line}; the difficulty changes at {at}"


def shown_seconds(seconds: float) -> str:
    """A time with as many digits as help."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    return f"{seconds:,.0f} s" if seconds < 600 else f"{seconds / 60:,.0f} min"


def row_line(row: Row) -> str:
    """A node in a line."""
    if not row.is_up:
        return f"{row.name}  {row.address}  killed at {row.height}"
    peers = f"{row.peers} peer{'s' * (row.peers != 1)}"
    return (
        f"{row.name}  {row.address}  {row.height} {shown(row.tip)}  {peers},"
        f" {row.mempool} waiting, {row.hashes_per_s:,} hashes/s, mined {row.mined},"
        f" {row.reorgs} reorg{'s' * (row.reorgs != 1)}"
    )


def links_line(board: Board) -> str:
    """All connections, in a line; of a node that is alone here, its peers."""
    if len(board.nodes) == 1:
        (node,) = board.nodes.values()
        peers = [board.peer_name(conn) for conn in node.node.peers.values() if conn.is_ready]
        return f"peers {', '.join(peers) or 'none'}"
    links = board.links()
    if len(links) > MOST_LINKS:
        return f"links {link_counts(links)}"
    listed = [f"{link.one}-{link.other} {link.state.value}" for link in links]
    return f"links {', '.join(listed) or 'none'}"


def link_counts(links: list[Link]) -> str:
    """How many are up, cut, down."""
    counts = Counter(link.state for link in links)
    return ", ".join(f"{counts[state]} {state.value}" for state in LinkState if counts[state])


def tree_lines(board: Board, heights: int) -> list[str]:
    """The last blocks, a row for each branch, the names of miners at their heights."""
    grid = grid_of(board.lanes(heights=heights, most=MOST_LANES))
    labels = labels_of(board.nodes)
    lines = [ruler(grid.lowest, len(grid.rows[0]) if grid.rows else 0)]
    for cells in grid.rows:
        drawn = "".join(_drawn(cell, labels, board.base) for cell in cells)
        tip = next(cell for cell in reversed(cells) if not isinstance(cell, Mark))
        lines.append(f"{drawn}  {' '.join(board.holders(tip.hash))}".rstrip())
    return lines


def ruler(lowest: int, columns: int) -> str:
    """Heights above columns of three characters, every fifth."""
    line = ""
    for column in range(columns):
        if (lowest + column) % 5 == 0 and len(line) <= 3 * column:
            line = line.ljust(3 * column) + f" {lowest + column}"
    return line


def labels_of(names: Mapping[str, object]) -> dict[str, str]:
    """Two characters at most for each node: the number in its name, or else a letter."""
    if all(name[:1] == "n" and name[1:].isdigit() and len(name) < 4 for name in names):
        return {name: name[1:] for name in names}
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return {name: letters[number % len(letters)] for number, name in enumerate(names)}


def label_of(cell: Cell, labels: Mapping[str, str], base: int) -> str:
    """What a cell shows: its miner; a dot for old blocks, a question mark for a stranger's."""
    if isinstance(cell, Mark):
        return cell.value
    if cell.height <= base:
        return "·"
    return labels.get(cell.miner or "", "?")


def _drawn(cell: Cell, labels: Mapping[str, str], base: int) -> str:
    label = label_of(cell, labels, base)
    return " ╰─" if cell is Mark.FORK else f"{label:>2} "
