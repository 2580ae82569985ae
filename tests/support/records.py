"""Records like others."""

from typing import TypeVar

from drystone.core.record import Record

Kind = TypeVar("Kind", bound=Record)


def changed(record: Kind, **fields: object) -> Kind:
    """The same, but for these fields: what `dataclasses.replace` does for dataclasses."""
    values = {name: getattr(record, name) for name in record.__match_args__}
    return type(record)(**(values | fields))
