"""The `drystone` command: finds the subcommand, turns mistakes into one line and a status."""

import errno
import importlib
import os
import sys
from typing import NoReturn, TextIO

import click

from drystone.core.errors import UserError

USAGE_STATUS = 2  # a user's mistake, as other Unix commands have it
INTERRUPT_STATUS = 130  # 128 + SIGINT
HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 96}


class LazyGroup(click.Group):
    """A group that imports a command when it is asked for, so that each starts fast.

    lazy: of each command's name, "module:attribute" and a line for the group's help.
    """

    def __init__(self, *args: object, lazy: dict[str, tuple[str, str]], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """In the order of declaration: the first thing to try comes first."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the module that has the command."""
        if cmd_name not in self._lazy:
            return None
        module, attribute = self._lazy[cmd_name][0].split(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List them without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self._lazy.items()])


@click.group(
    cls=LazyGroup,
    lazy={
        "up": ("drystone.cli.up:up", "Watch full nodes mine against each other."),
        "node": ("drystone.cli.node:node", "Run one full node in this terminal."),
        "net": ("drystone.cli.net:net", "Steer a running network from another terminal."),
        "sim": (
            "drystone.cli.sim:sim",
            "Run a network in virtual time, as a file describes it, and measure it.",
        ),
        "mine": ("drystone.cli.mine:mine", "Mine real blocks, on a chain kept in a directory."),
        "chain": (
            "drystone.cli.chain:chain",
            "Look into such a chain, carry it elsewhere, mend it.",
        ),
        "classic": ("drystone.cli.classic:classic", "The tutorial's network, byte for byte."),
        "bench": ("drystone.cli.bench:bench", "Measure this machine."),
    },
    context_settings=HELP,
)
@click.version_option(package_name="drystone")
def drystone() -> None:
    """The Bitcoin network you can hold in your hands.

    Nodes that mine against each other, broadcast, fork and converge on this machine. Begin with

        drystone up

    and watch three of them. Ctrl-C ends it.
    """


def main() -> NoReturn:
    """Entry point. Exit status: 0, 1 for a failure, 2 for a user's mistake, 130 after Ctrl-C
    before its end, where that is not how the command is meant to end.
    """
    try:
        _run()
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "drystone"
        _complain(f"{path}: {_one_line(error.format_message())} See `{path} --help`.")
        sys.exit(USAGE_STATUS)
    except (click.ClickException, UserError) as error:
        _complain(f"drystone: {_one_line(str(error))}")
        sys.exit(USAGE_STATUS)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPT_STATUS)
    except BrokenPipeError:
        # Whoever read our output has left, as `head` does: nothing to say, and nobody to say it to.
        forget_output(sys.stdout)
        sys.exit(1)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _complain(f"drystone: can't write the output: {error.strerror}")
        forget_output(sys.stdout)
        sys.exit(USAGE_STATUS)
    sys.exit(0)


def _run() -> None:
    try:
        drystone.main(prog_name="drystone", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())


def forget_output(stream: TextIO) -> None:
    """Send what is still buffered nowhere, so that ending doesn't fail in its turn."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _complain(line: str) -> None:
    click.echo(line, err=True)
