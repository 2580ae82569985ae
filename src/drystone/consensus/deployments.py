"""Which rules are active in a block: by height for those long settled, by version bits for others.

```
DEFINED -> STARTED -> LOCKED_IN -> ACTIVE        one step at most at each period's end (BIP9)
              |                                  STARTED: miners signal in their blocks' versions
              `--> FAILED                        LOCKED_IN: enough of them did, in one period
```
"""

from collections.abc import MutableMapping
from enum import Enum
from typing import Final, NamedTuple

from drystone.consensus.locktime import MEDIAN_TIME_SPAN, median_time_past
from drystone.consensus.params import ALWAYS_ACTIVE, NEVER_ACTIVE, Deployment, Params
from drystone.consensus.pow import HeaderAt
from drystone.consensus.script.flags import Flags
from drystone.primitives.hashes import BlockHash

VERSION_BITS_TOP_MASK: Final = 0xE0000000  # these three bits of a version
VERSION_BITS_TOP: Final = 0x20000000  # are 001 if the others are signals


def script_flags(params: Params, height: int, block_hash: BlockHash) -> Flags:
    """The script rules that a block's inputs must keep. Core: GetBlockScriptFlags.

    Three soft forks need no height: no older block breaks them but for the chain's exceptions.
    """
    flags = Flags.P2SH | Flags.WITNESS | Flags.TAPROOT
    for exception in params.script_flag_exceptions:
        if exception.block_hash == block_hash:
            flags = Flags.NONE
            for name in exception.flags:
                flags |= Flags[name]
    if height >= params.bip66_height:
        flags |= Flags.DERSIG
    if height >= params.bip65_height:
        flags |= Flags.CHECKLOCKTIMEVERIFY
    if height >= params.csv_height:
        flags |= Flags.CHECKSEQUENCEVERIFY
    if height >= params.segwit_height:
        flags |= Flags.NULLDUMMY  # BIP147 came with segwit
    return flags


def buried_heights(params: Params) -> dict[str, int]:
    """First heights of the rules that once were deployed, by the reference client's names."""
    return {
        "bip34": params.bip34_height,
        "bip66": params.bip66_height,
        "bip65": params.bip65_height,
        "csv": params.csv_height,
        "segwit": params.segwit_height,
    }


class State(Enum):
    """Of a deployment, for the block after some parent. Core: ThresholdState."""

    DEFINED = "defined"
    STARTED = "started"
    LOCKED_IN = "locked_in"
    ACTIVE = "active"
    FAILED = "failed"


StateCache = MutableMapping[tuple[Deployment, BlockHash], State]
"""States by the last block of the period before. One serves all deployments and branches."""


def deployment_state(
    deployment: Deployment,
    parent_height: int,
    header_at: HeaderAt,
    cache: StateCache | None = None,
) -> State:
    """The state for the block after a parent (BIP9). parent_height: -1 for genesis.

    header_at: for heights from 0 to the parent's. Core: GetStateFor.
    """
    if deployment.start_time == ALWAYS_ACTIVE:
        return State.ACTIVE
    if deployment.start_time == NEVER_ACTIVE:
        return State.FAILED
    known = {} if cache is None else cache
    undecided: list[int] = []
    # A period's blocks share one state, decided by the last block before them.
    last = _last_before_period(deployment, parent_height)
    state = State.DEFINED
    while last >= 0:
        cached = known.get((deployment, header_at(last).hash))
        if cached is not None:
            state = cached
            break
        if _median_time(last, header_at) < deployment.start_time:
            break  # and so it was before every earlier period
        undecided.append(last)
        last -= deployment.period
    for height in reversed(undecided):
        state = _next_state(state, deployment, height, header_at)
        known[deployment, header_at(height).hash] = state
    return state


def _last_before_period(deployment: Deployment, parent_height: int) -> int:
    return parent_height - (parent_height + 1) % deployment.period


def _next_state(state: State, deployment: Deployment, last: int, header_at: HeaderAt) -> State:
    """The state of the period after a last block, given the state of that block's own."""
    median_time = _median_time(last, header_at)
    if state is State.DEFINED and median_time >= deployment.start_time:
        return State.STARTED
    if state is State.STARTED:
        if signalling(deployment, last, header_at).signals >= deployment.threshold:
            return State.LOCKED_IN
        if median_time >= deployment.timeout:
            return State.FAILED
    if state is State.LOCKED_IN and last + 1 >= deployment.min_activation_height:
        return State.ACTIVE
    return state


def _median_time(height: int, header_at: HeaderAt) -> int:
    first = max(0, height + 1 - MEDIAN_TIME_SPAN)
    return median_time_past([header_at(h).time for h in range(first, height + 1)])


def is_active(
    deployment: Deployment,
    parent_height: int,
    header_at: HeaderAt,
    cache: StateCache | None = None,
) -> bool:
    """Whether the rule binds the block after a parent. Core: DeploymentActiveAfter."""
    return deployment_state(deployment, parent_height, header_at, cache) is State.ACTIVE


def state_since(
    deployment: Deployment,
    parent_height: int,
    header_at: HeaderAt,
    cache: StateCache | None = None,
) -> int:
    """The first height that had the state of the block after a parent.

    Core: GetStateSinceHeightFor.
    """
    if deployment.start_time in (ALWAYS_ACTIVE, NEVER_ACTIVE):
        return 0
    known = {} if cache is None else cache
    state = deployment_state(deployment, parent_height, header_at, known)
    if state is State.DEFINED:
        return 0
    last = _last_before_period(deployment, parent_height)
    while last >= deployment.period:
        if deployment_state(deployment, last - deployment.period, header_at, known) is not state:
            break
        last -= deployment.period
    return last + 1


class Signalling(NamedTuple):
    """How a period stands so far. Core: BIP9Stats."""

    elapsed: int  # blocks of the period, up to the one asked about
    signals: int  # of them
    is_possible: bool  # whether the threshold can still be met


def signalling(deployment: Deployment, height: int, header_at: HeaderAt) -> Signalling:
    """Of the period that a block is in, up to that block. Core: GetStateStatisticsFor."""
    first = height - height % deployment.period
    elapsed = height - first + 1
    signals = sum(is_signalling(deployment, header_at(h).version) for h in range(first, height + 1))
    spare = deployment.period - deployment.threshold
    return Signalling(elapsed, signals, elapsed - signals <= spare)


def is_signalling(deployment: Deployment, version: int) -> bool:
    """Whether a block's version has the deployment's bit set."""
    is_bits = version & VERSION_BITS_TOP_MASK == VERSION_BITS_TOP
    return is_bits and bool(version >> deployment.bit & 1)


def compute_block_version(
    parent_height: int, header_at: HeaderAt, params: Params, cache: StateCache | None = None
) -> int:
    """The version for a block after a parent: it signals for all that is underway.

    Core: ComputeBlockVersion.
    """
    version = VERSION_BITS_TOP
    for deployment in params.deployments:
        state = deployment_state(deployment, parent_height, header_at, cache)
        if state in (State.STARTED, State.LOCKED_IN):
            version |= 1 << deployment.bit
    return version
