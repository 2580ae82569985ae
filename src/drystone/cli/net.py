"""`drystone net`: steers a running network from another terminal.

Its commands are made from the table of verbs in `network.steering`, and so is what can be typed at
the prompt of the live view.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import click

from drystone.cli.main import HELP
from drystone.cli.ready_files import find_control, ready_option
from drystone.cli.run import say
from drystone.core.errors import UserError
from drystone.drivers.control import ask
from drystone.network.steering import (
    BY_NAME,
    VERBS,
    Kind,
    Parameter,
    Request,
    Verb,
    request_from_fields,
    value_from_text,
)

_MANY: Final = frozenset({Kind.NAMES, Kind.GROUPS})


class _Typed(click.ParamType[Any]):
    """A word, read as its kind wants it."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.name = kind.name.lower()

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """From text; what is a value already stays as it is."""
        if not isinstance(value, str):
            return value
        try:
            return value_from_text(self.kind, value)
        except UserError as error:
            self.fail(f"{error}.", param, ctx)


def _click_parameter(parameter: Parameter) -> click.Parameter:
    kind, is_many = parameter.kind, parameter.kind in _MANY
    metavar = parameter.unit or parameter.name.upper()
    if parameter.is_word:
        return click.Argument(
            [_key(parameter)],
            type=_Typed(kind),
            required=parameter.is_required,
            nargs=-1 if is_many else 1,
            metavar=_shown(metavar, parameter),
        )
    flag = f"--{parameter.name}"
    if kind is Kind.FLAG:
        return click.Option([flag, _key(parameter)], is_flag=True, help=parameter.help)
    return click.Option(
        [flag, _key(parameter)],
        type=_Typed(kind),
        multiple=is_many,
        metavar=metavar if kind is not Kind.NAMES else "NAME",
        help=parameter.help,
        default=parameter.default,
        show_default=parameter.default not in (None, 0),
    )


def _shown(metavar: str, parameter: Parameter) -> str:
    """As usage lines have it."""
    many = f"{metavar}..." if parameter.kind in _MANY else metavar
    return many if parameter.is_required else f"[{many}]"


def _key(parameter: Parameter) -> str:
    """Its name in Python; `from` is not one."""
    return f"the_{parameter.name}".replace("-", "_")


def _fields(verb: Verb, values: dict[str, Any]) -> dict[str, Any]:
    """A request as it is sent. What wasn't said isn't."""
    fields: dict[str, Any] = {"verb": verb.name}
    for parameter in verb.parameters:
        value = values[_key(parameter)]
        if parameter.kind in _MANY:
            value = list(value) or None
        if value is not None:
            fields[parameter.name] = value
    return fields


def _help_of(verb: Verb) -> str:
    """Summary, arguments, and how it is typed."""
    parts = [f"{verb.summary} {verb.more}".strip()]
    words = [one for one in verb.parameters if one.is_word]
    if words:
        width = max(len(one.unit or one.name) for one in words)
        lines = [f"  {one.unit or one.name.upper():{width}}  {one.help}" for one in words]
        parts.append("\b\n" + "\n".join(lines))
    if verb.examples:
        parts.append("\b\n" + "\n".join(f"    drystone net {text}" for text in verb.examples))
    return "\n\n".join(parts)


def _command(verb: Verb) -> click.Command:
    @click.pass_context
    def call(ctx: click.Context, /, **values: Any) -> None:
        as_json, ready = values.pop("as_json"), values.pop("ready")
        fields = _fields(verb, values)
        request_from_fields(fields)  # so that a mistake is told whether a network runs or not
        reply = ask(find_control(ready or (ctx.obj or {}).get("ready")), fields)
        if as_json or (ctx.obj or {}).get("as_json"):
            say(json.dumps(reply.get("result")))
        else:
            say(_printable(str(reply.get("said", ""))))

    command = click.command(
        verb.name, context_settings=HELP, help=_help_of(verb), short_help=verb.summary
    )(call)
    command.params += map(_click_parameter, verb.parameters)
    return _json_option(ready_option(command))


_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")


def _printable(text: str) -> str:
    """Without what would move the cursor: a socket may belong to anything."""
    return "".join(c for c in text if c.isprintable() or c == "\n")


class _InOrder(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """As in the table: looks first."""
        return list(self.commands)


@click.group(
    cls=_InOrder, context_settings=HELP, short_help="Steer a running network from another terminal."
)
@ready_option
@_json_option
@click.pass_context
def net(ctx: click.Context, ready: str | None, *, as_json: bool) -> None:
    """Steer a network that runs in another terminal.

    \b
        drystone up                      in one terminal
        drystone net partition n0        in another: both sides mine on
        drystone net tree                the chain forks
        drystone net heal                the branch with less work gives way
        drystone net wait                until all agree

    The network is found by its ready file; if several run, --ready says which. Each command takes
    --json.
    """  # noqa: D301  \b is click's sign
    ctx.obj = {"ready": ready, "as_json": as_json}


for _verb in VERBS:
    net.add_command(_command(_verb))


def request_from_words(words: Sequence[str]) -> Request:
    """What somebody has typed at a prompt: the words after `drystone net`. Raises UserError."""
    if not words:
        raise UserError("type a verb, such as: partition n0")
    verb = BY_NAME.get(words[0])
    if verb is None:
        raise UserError(f"no verb {words[0]!r}: there are {', '.join(BY_NAME)}")
    if {"-h", "--help"} & set(words):  # which would print
        raise UserError(usage_of(verb))
    try:
        context = net.commands[verb.name].make_context(verb.name, list(words[1:]))
    except click.UsageError as error:
        raise UserError(f"{' '.join(error.format_message().split())} {usage_of(verb)}") from None
    return request_from_fields(_fields(verb, context.params))


def usage_of(verb: Verb) -> str:
    """How a verb is typed, in a line."""
    return f"usage: {' '.join([verb.name, *_usage_words(verb)])}"


def _usage_words(verb: Verb) -> Iterator[str]:
    for one in verb.parameters:
        word = one.unit or one.name.upper()
        if one.is_word:
            yield _shown(word, one)
        else:
            yield f"[--{one.name}]" if one.kind is Kind.FLAG else f"[--{one.name} {word}]"
