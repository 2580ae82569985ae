"""What a core is to those who run it, in real and in virtual time alike."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from drystone.core.time import Time

Event_contra = TypeVar("Event_contra", contravariant=True)
Action_co = TypeVar("Action_co", covariant=True)


class Core(Protocol[Event_contra, Action_co]):
    """A state machine with one door. It opens nothing, never sleeps and asks no clock."""

    def handle(self, event: Event_contra, now: Time) -> Sequence[Action_co]:
        """Take one event and say what is to be done, in that order."""
