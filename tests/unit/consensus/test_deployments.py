"""Which rules are active: by height, by exception, and by version bits (BIP9)."""

from dataclasses import dataclass, field

import pytest

from drystone.consensus.chains import CHAINS, LOCAL, MAINNET, REGTEST, TESTNET4, variant
from drystone.consensus.deployments import (
    Signalling,
    State,
    StateCache,
    buried_heights,
    compute_block_version,
    deployment_state,
    is_active,
    is_signalling,
    script_flags,
    signalling,
    state_since,
)
from drystone.consensus.params import ALWAYS_ACTIVE, NEVER_ACTIVE, NO_TIMEOUT, Deployment, Params
from drystone.consensus.script.flags import CONSENSUS, Flags
from drystone.primitives.block import BlockHeader
from drystone.primitives.hashes import NULL_HASH, BlockHash, from_display

ALWAYS = Flags.P2SH | Flags.WITNESS | Flags.TAPROOT
ANY_HASH = BlockHash(bytes(32))


def block_hash(shown: str) -> BlockHash:
    return BlockHash(from_display(shown))


# Script flags. Facts: Bitcoin Core's chainparams, and what its getdeploymentinfo lists as
# script_flags, as quoted in https://github.com/bitcoin/bitcoin/pull/26162.


@pytest.mark.parametrize(
    ("height", "added"),
    [
        (0, Flags.NONE),
        (363_724, Flags.NONE),
        (363_725, Flags.DERSIG),
        (388_380, Flags.DERSIG),
        (388_381, Flags.DERSIG | Flags.CHECKLOCKTIMEVERIFY),
        (419_327, Flags.DERSIG | Flags.CHECKLOCKTIMEVERIFY),
        (
            419_328,
            Flags.DERSIG | Flags.CHECKLOCKTIMEVERIFY | Flags.CHECKSEQUENCEVERIFY,
        ),
        (481_823, CONSENSUS & ~ALWAYS & ~Flags.NULLDUMMY),
        (481_824, CONSENSUS & ~ALWAYS),
        (900_000, CONSENSUS & ~ALWAYS),
    ],
)
def test_mainnet_s_rules_came_at_their_heights(height: int, added: Flags) -> None:
    assert script_flags(MAINNET, height, ANY_HASH) == ALWAYS | added


def test_two_blocks_of_mainnet_are_exceptions() -> None:
    bip16 = block_hash("00000000000002dc756eebf4f49723ed8d30cc28a5f108eb94b1ba88ac4f9c22")
    taproot = block_hash("0000000000000000000f14c35b2d841e986ab5441de8c585d5ffe55ea1e395ad")
    assert script_flags(MAINNET, 170_060, bip16) == Flags.NONE
    assert script_flags(MAINNET, 692_261, taproot) == CONSENSUS & ~Flags.TAPROOT
    assert script_flags(TESTNET4, 692_261, taproot) == CONSENSUS


def test_every_exception_names_flags_that_there_are() -> None:
    for params in CHAINS.values():
        for exception in params.script_flag_exceptions:
            assert exception.flags <= set(Flags.__members__)


@pytest.mark.parametrize("params", [LOCAL, REGTEST, TESTNET4], ids=lambda params: params.name)
def test_newer_chains_have_all_rules_from_block_1(params: Params) -> None:
    assert script_flags(params, 1, ANY_HASH) == CONSENSUS


def test_buried_heights_have_the_reference_client_s_names() -> None:
    assert buried_heights(MAINNET) == {
        "bip34": 227_931,
        "bip66": 363_725,
        "bip65": 388_381,
        "csv": 419_328,
        "segwit": 481_824,
    }


# Version bits.

PERIOD = 10
BIT = 3
SIGNAL = 0x20000000 | 1 << BIT
QUIET = 0x20000000
START = 10_000
TIMEOUT = 20_000
DEPLOYMENT = Deployment("test", BIT, START, TIMEOUT, 0, threshold=8, period=PERIOD)


@dataclass
class Headers:
    """A chain of headers and nothing more."""

    headers: list[BlockHeader] = field(default_factory=list)

    def at(self, height: int) -> BlockHeader:
        assert height >= 0
        return self.headers[height]

    @property
    def height(self) -> int:
        return len(self.headers) - 1

    def grow(self, count: int, *, time: int, version: int = QUIET) -> "Headers":
        for _ in range(count):
            prev_hash = self.headers[-1].hash if self.headers else BlockHash(NULL_HASH)
            self.headers.append(BlockHeader(version, prev_hash, NULL_HASH, time, 0, 0))
        return self

    def period(self, *, time: int, signals: int = 0) -> "Headers":
        """Ten blocks, of which some signal."""
        self.grow(PERIOD - signals, time=time)
        return self.grow(signals, time=time, version=SIGNAL)

    def branch(self) -> "Headers":
        return Headers(self.headers.copy())

    def state(self, deployment: Deployment = DEPLOYMENT, cache: StateCache | None = None) -> State:
        return deployment_state(deployment, self.height, self.at, cache)


def states(headers: Headers, deployment: Deployment = DEPLOYMENT) -> list[State]:
    """Of each block from genesis to the one after the last."""
    return [
        deployment_state(deployment, height - 1, headers.at) for height in range(headers.height + 2)
    ]


def test_a_deployment_goes_from_defined_to_active() -> None:
    headers = Headers()
    headers.period(time=START - 1)
    headers.period(time=START)
    headers.period(time=START, signals=8)
    headers.period(time=START)
    headers.period(time=START)
    assert states(headers) == (
        [State.DEFINED] * 20 + [State.STARTED] * 10 + [State.LOCKED_IN] * 10 + [State.ACTIVE] * 11
    )
    assert is_active(DEPLOYMENT, 39, headers.at)
    assert not is_active(DEPLOYMENT, 38, headers.at)


def test_one_signal_less_is_too_few() -> None:
    headers = Headers().period(time=START).period(time=START, signals=7)
    assert headers.state() is State.STARTED
    assert headers.period(time=START, signals=8).state() is State.LOCKED_IN


def test_signals_before_the_start_do_not_count() -> None:
    headers = Headers().period(time=START - 1, signals=10).period(time=START, signals=10)
    assert headers.state() is State.STARTED


def test_time_is_the_median_of_eleven_blocks() -> None:
    headers = Headers().grow(25, time=START - 1).grow(5, time=START)
    assert headers.state() is State.DEFINED
    headers = Headers().grow(24, time=START - 1).grow(6, time=START)
    assert headers.state() is State.STARTED


def test_what_times_out_has_failed_for_good() -> None:
    headers = Headers().period(time=START).period(time=TIMEOUT, signals=7)
    assert headers.state() is State.FAILED
    assert headers.period(time=TIMEOUT, signals=10).state() is State.FAILED
    assert headers.period(time=TIMEOUT, signals=10).state() is State.FAILED


def test_enough_signals_in_the_last_period_lock_it_in() -> None:
    headers = Headers().period(time=START).period(time=TIMEOUT, signals=8)
    assert headers.state() is State.LOCKED_IN


def test_a_deployment_that_starts_after_its_timeout_starts_first() -> None:
    headers = Headers().period(time=TIMEOUT)
    assert headers.state() is State.STARTED
    assert headers.period(time=TIMEOUT).state() is State.FAILED


def test_what_is_locked_in_waits_for_its_height() -> None:
    patient = DEPLOYMENT._replace(min_activation_height=45)
    headers = Headers().period(time=START).period(time=START, signals=10)
    found = []
    while headers.height < 60:
        found.append(headers.state(patient))
        headers.period(time=TIMEOUT)
    assert found == [State.LOCKED_IN] * 3 + [State.ACTIVE] * 2
    assert deployment_state(patient, 48, headers.at) is State.LOCKED_IN
    assert deployment_state(patient, 49, headers.at) is State.ACTIVE


@pytest.mark.parametrize(
    ("start_time", "state"), [(ALWAYS_ACTIVE, State.ACTIVE), (NEVER_ACTIVE, State.FAILED)]
)
def test_some_are_decided_from_the_start(start_time: int, state: State) -> None:
    decided = DEPLOYMENT._replace(start_time=start_time)
    assert deployment_state(decided, -1, Headers().at) is state
    headers = Headers().period(time=START, signals=10)
    assert headers.state(decided) is state
    assert state_since(decided, headers.height, headers.at) == 0


def test_genesis_is_defined_even_if_the_start_is_past() -> None:
    early = DEPLOYMENT._replace(start_time=0, timeout=NO_TIMEOUT)
    assert deployment_state(early, -1, Headers().at) is State.DEFINED
    assert Headers().grow(9, time=5).state(early) is State.DEFINED
    assert Headers().grow(10, time=5).state(early) is State.STARTED


def test_branches_share_a_cache_and_keep_their_states() -> None:
    cache: StateCache = {}
    trunk = Headers().period(time=START)
    with_signals = trunk.branch().period(time=START, signals=10)
    without = trunk.branch().period(time=START)
    for _ in range(2):
        assert with_signals.state(cache=cache) is State.LOCKED_IN
        assert without.state(cache=cache) is State.STARTED
        assert trunk.state(cache=cache) is State.STARTED
    other = DEPLOYMENT._replace(bit=4)
    assert with_signals.state(other, cache) is State.STARTED


def test_a_cache_spares_looking_at_old_headers() -> None:
    headers = Headers()
    for _ in range(50):
        headers.period(time=START)
    cache: StateCache = {}
    headers.state(cache=cache)
    asked = []

    def header_at(height: int) -> BlockHeader:
        asked.append(height)
        return headers.at(height)

    assert deployment_state(DEPLOYMENT, headers.height, header_at, cache) is State.STARTED
    assert asked == [headers.height]


def test_a_state_is_known_since_the_first_block_that_had_it() -> None:
    headers = Headers().period(time=START - 1).period(time=START)
    headers.period(time=START).period(time=START, signals=8)
    for _ in range(3):
        headers.period(time=START)
    since = [state_since(DEPLOYMENT, height - 1, headers.at) for height in range(71)]
    assert since == [0] * 20 + [20] * 20 + [40] * 10 + [50] * 21


def test_signals_are_counted_in_the_period_so_far() -> None:
    headers = Headers().period(time=START, signals=3)
    assert signalling(DEPLOYMENT, 0, headers.at) == Signalling(1, 0, is_possible=True)
    assert signalling(DEPLOYMENT, 1, headers.at) == Signalling(2, 0, is_possible=True)
    assert signalling(DEPLOYMENT, 2, headers.at) == Signalling(3, 0, is_possible=False)
    assert signalling(DEPLOYMENT, 9, headers.at) == Signalling(10, 3, is_possible=False)


@pytest.mark.parametrize(
    ("version", "signals"),
    [
        (SIGNAL, True),
        (SIGNAL | 0x1FFFFFFF, True),
        (QUIET, False),
        (1 << BIT, False),
        (0x60000000 | 1 << BIT, False),
        (-(0x80000000) | 0x20000000 | 1 << BIT, False),
        (-1, False),
        (4, False),
    ],
)
def test_only_versions_that_begin_with_001_signal(version: int, *, signals: bool) -> None:
    assert is_signalling(DEPLOYMENT, version) is signals


def test_a_new_block_signals_for_what_is_underway() -> None:
    second = DEPLOYMENT._replace(name="second", bit=28, threshold=1)
    params = variant(REGTEST, "signalling", deployments=(DEPLOYMENT, second))
    cache: StateCache = {}
    versions: list[int] = []
    headers = Headers()
    while len(versions) < 6:
        version = compute_block_version(headers.height, headers.at, params, cache)
        versions.append(version)
        headers.grow(PERIOD, time=START, version=version & ~(1 << BIT))
    both, none = 0x20000000 | 1 << BIT | 1 << 28, 0x20000000
    assert versions == [none, both, both, none | 1 << BIT, none | 1 << BIT, none | 1 << BIT]


def test_regtest_signals_for_the_test_deployment_from_its_second_period_on() -> None:
    headers = Headers().grow(144, time=1296688602)
    assert compute_block_version(142, headers.at, REGTEST) == 0x20000000
    assert compute_block_version(143, headers.at, REGTEST) == 0x30000000
