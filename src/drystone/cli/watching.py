"""The live view at work: frames are drawn, keys are heeded, orders are carried out."""

import asyncio
from collections.abc import Callable

from drystone.cli.keyboard import is_typed_at, keys_pressed
from drystone.cli.net import request_from_words
from drystone.cli.pilot import Order, Pilot, Quit, Scene
from drystone.cli.view import Screen, draw
from drystone.core.errors import UserError
from drystone.mining.rates import default_hashes_per_s, shares
from drystone.network.board import Board
from drystone.network.helm import Helm


async def watch(
    board: Board,
    helm: Helm,
    *,
    title: str,
    banner: Callable[[], list[str]],
    quit_: Callable[[], None],
) -> None:
    """Show the board and do what keys say, until cancelled. quit_: what `q` does."""
    pilot = Pilot()
    screen = Screen(board, pilot, title=title, banner=banner)
    screen.has_keys = is_typed_at()

    async def obey(words: tuple[str, ...]) -> None:
        try:
            request = request_from_words(words)
            screen.answer = f"{' '.join(words)} ..."
            done = await helm.perform(request)
        except (UserError, TimeoutError) as error:
            screen.answer = str(error)
            return
        screen.answer = ""
        if request.verb.is_look:
            for line in done.said.splitlines():
                board.say(line)

    async with asyncio.TaskGroup() as tasks:

        def press(key: str) -> None:
            screen.answer = ""
            match pilot.press(key, _scene(board)):
                case Quit():
                    quit_()
                case Order(words):
                    tasks.create_task(obey(words))

        with keys_pressed(press):
            await draw(screen)


def _scene(board: Board) -> Scene:
    names = list(board.nodes)
    rows = [board.row(name) for name in names]
    usual = shares(default_hashes_per_s(board.params), len(names))[0]
    return Scene(
        names,
        {row.name: board.rate(row.name) for row in rows},
        usual_rate=max(1, usual),
        is_paused=board.is_paused,
        down=[row.name for row in rows if not row.is_up],
    )
