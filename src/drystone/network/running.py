"""Running a scenario in virtual time, as fast as it goes, and measuring what it does."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from drystone.core.errors import UserError
from drystone.core.time import SECOND_NS
from drystone.network.collector import calm_collector
from drystone.network.measuring import Figures, Measuring
from drystone.network.quantities import shown_duration
from drystone.network.scenario import Happening, Scenario, timeline
from drystone.network.verbs import Send, SpendTwice
from drystone.network.virtual import VirtualNetwork

SLICE_NS: Final = SECOND_NS  # between two looks at whether to go on
LAST_ONE_S: Final = 60  # for the last block of those that were wanted, to reach everybody
PATIENCE_SPACINGS: Final = 1_000  # without a block, before it is given up that one comes

Progress = Callable[["Run"], bool]
"""Is called between slices; False ends the run."""


class Run:
    """One run of a scenario under one seed.

    trace_sink: is handed the lines of the trace as they come, many at a time.

    Raises UserError if the scenario can't end.
    """

    def __init__(
        self, scenario: Scenario, *, trace_sink: Callable[[str], object] | None = None
    ) -> None:
        if scenario.duration_ns is None and scenario.blocks is None:
            raise UserError(
                "nothing says when it is over: give it a duration, or a number of blocks"
            )
        self.scenario = scenario
        self._measuring = Measuring()
        self.network = VirtualNetwork(plan=scenario.plan, watch=self._measuring.watch, warm_up_s=0)
        self.network.world.trace.sink = trace_sink
        self._measuring.begin(self.network)
        self._timeline = timeline(scenario.happenings)
        self._next = next(self._timeline, None)
        self._start_height = self._measuring.best_height
        self._last_news = (0, 0)  # blocks, and when there were first so many

    @property
    def blocks(self) -> int:
        """How many blocks the best chain has won so far."""
        return self._measuring.best_height - self._start_height

    @property
    def virtual_ns(self) -> int:
        """How much time has passed."""
        return self.network.world.now_ns

    @property
    def is_over(self) -> bool:
        """Whether the scenario says so."""
        scenario = self.scenario
        return (scenario.blocks is not None and self.blocks >= scenario.blocks) or (
            scenario.duration_ns is not None and self.virtual_ns >= scenario.duration_ns
        )

    def go(self, progress: Progress = lambda _run: True) -> Figures:
        """Run to the end, or until progress says that it is enough. Raises UserError."""
        with calm_collector():
            for _ in self.slices():
                if not progress(self):
                    break
        return self.figures()

    def slices(self) -> Iterator[None]:
        """Run to the end, a slice at a time."""
        while not self.is_over:
            while self._next is not None and self._next[0] <= self.virtual_ns:
                self._perform(self._next[1])
                self._next = next(self._timeline, None)
            self._run_until(self._slice_end_ns())
            self._check_that_it_gets_anywhere()
            yield
        if self.scenario.blocks is not None and self.blocks >= self.scenario.blocks:
            self._let_the_last_one_spread()

    def _let_the_last_one_spread(self) -> None:
        """Nobody mines on, and for a minute at most the last block may find its way."""
        self.network.pause_mining()
        with suppress(TimeoutError):
            self.network.wait_until_synced(limit_s=LAST_ONE_S)

    def figures(self) -> Figures:
        """What it has come to so far."""
        return self._measuring.figures()

    def _slice_end_ns(self) -> int:
        ends = [self.virtual_ns + SLICE_NS]
        if self._next is not None:
            ends.append(self._next[0])
        if self.scenario.duration_ns is not None:
            ends.append(self.scenario.duration_ns)
        return max(self.virtual_ns, min(ends))

    def _run_until(self, end_ns: int) -> None:
        """And stand there, unless the last block that is wanted comes before."""
        world, measuring = self.network.world, self._measuring
        if self.scenario.blocks is not None:
            wanted = self._start_height + self.scenario.blocks
            with suppress(TimeoutError):
                world.run_until(
                    lambda: measuring.best_height >= wanted, limit_ns=end_ns - world.now_ns
                )
                return
        world.run_for(end_ns - world.now_ns)

    def _perform(self, happening: Happening) -> None:
        """Payments that are refused are counted; nothing else may go wrong."""
        verb = happening.verb
        try:
            made = verb.perform(self.network)
            if made is not None:
                self._measuring.paid(made, (isinstance(verb, Send) and verb.via) or "")
        except UserError as error:
            if isinstance(verb, Send | SpendTwice):
                self._measuring.refused(verb.owner, verb.to, verb.amount, str(error))
                return
            raise UserError(f"{self._where(happening)}: {error}") from None
        except TimeoutError as error:
            raise UserError(
                f"{self._where(happening)}: the nodes do not come to agree, {error}; are they"
                " connected, and is nothing cut?"
            ) from None

    def _where(self, happening: Happening) -> str:
        return f"{happening.where}, at {shown_duration(self.virtual_ns)}"

    def _check_that_it_gets_anywhere(self) -> None:
        if self.scenario.duration_ns is not None or self._next is not None:
            return
        blocks, since_ns = self._last_news
        if self.blocks > blocks:
            self._last_news = self.blocks, self.virtual_ns
            return
        patience_ns = PATIENCE_SPACINGS * self.network.params.pow_spacing_s * SECOND_NS
        if self.virtual_ns > since_ns + patience_ns:
            raise UserError(
                f"no block has come for {shown_duration(patience_ns)}, and nothing else is to"
                " happen: give nodes a hash rate, or the scenario a duration"
            )
