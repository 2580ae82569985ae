"""The pytest plugin, found by its entry point: whoever has drystone installed has these fixtures.

```python
def test_the_heavier_branch_wins(network):
    network.partition(["n0"])
    network.mine("n0", 1)
    network.mine("n1", 2)
    network.heal()
    network.wait_until_synced()
```

A test that asks for none of them pays nothing: what they need is imported by the first that does.
"""

from collections.abc import Generator, Iterator
from hashlib import sha256
from secrets import randbits
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from drystone.network.threaded import LiveNetwork
    from drystone.network.virtual import VirtualNetwork

RANDOM: Final = "random"
MARKER: Final = "drystone"
MARKER_HELP: Final = (
    "drystone(nodes=3, chain='local', topology='ring', hashes_per_s=0, seed=None):"
    " what the fixtures network and live_network are like"
)
OPTIONS: Final = ("nodes", "chain", "topology", "hashes_per_s", "seed")
MOST_SEED: Final = (1 << 64) - 1

_seed_key = pytest.StashKey[int]()
_networks_key = pytest.StashKey[list["VirtualNetwork | LiveNetwork"]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare --drystone-seed."""
    parser.getgroup("drystone").addoption(
        "--drystone-seed",
        metavar="SEED",
        help="seed of drystone's networks, a number or 'random'; by default each test has its own,"
        " made from its name",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", MARKER_HELP)
    option = config.getoption("--drystone-seed")
    if option is not None and option != RANDOM and not _is_seed(option):
        raise pytest.UsageError(
            f"--drystone-seed takes a number from 0 to {MOST_SEED}, or {RANDOM}, not {option!r}"
        )


@pytest.fixture
def drystone_seed(request: pytest.FixtureRequest) -> int:
    """The seed of this test, for networks that it makes itself; told when the test fails."""
    return _seed_of(request.node)


@pytest.fixture
def network(request: pytest.FixtureRequest) -> "VirtualNetwork":
    """Full nodes in virtual time; three of them in a ring, unless the marker says otherwise."""
    from drystone.network.virtual import VirtualNetwork  # noqa: PLC0415  see above

    options = _options(request.node)
    made = VirtualNetwork(options.pop("nodes"), **options)
    _remember(request.node, made)
    return made


@pytest.fixture
def live_network(request: pytest.FixtureRequest) -> "Iterator[LiveNetwork]":
    """The same over TCP, at ports that are free; stopped when the test ends, however it does."""
    from drystone.network.threaded import LiveNetwork  # noqa: PLC0415  see above

    options = _options(request.node)
    with LiveNetwork(options.pop("nodes"), **options) as made:
        _remember(request.node, made)
        yield made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say of a test that failed by which seed, how to see it again, and where its nodes were."""
    report = yield
    if report.failed and report.when != "teardown" and _seed_key in item.stash:
        report.sections.append(("drystone", "\n".join(_story(item))))
    return report


def _story(item: pytest.Item) -> Iterator[str]:
    seed = item.stash[_seed_key]
    yield f"seed {seed}; to see it again: pytest '{item.nodeid}' --drystone-seed {seed}"
    for made in item.stash.get(_networks_key, []):
        for node in made:
            state = f"at height {node.tip.height}, {_shown(node.tip.hash)}"
            yield f"{node.name} {state if node.is_up else f'is down, and was {state}'}"


def _shown(block_hash: bytes) -> str:
    return block_hash[::-1].hex()


def _options(item: pytest.Item) -> dict[str, Any]:
    """What the marker says, and the defaults. Raises UserError."""
    from drystone.core.errors import UserError  # noqa: PLC0415  see above
    from drystone.network.chains import params_of  # noqa: PLC0415

    marker = item.get_closest_marker(MARKER)
    given = dict(marker.kwargs) if marker else {}
    if (marker and marker.args) or not given.keys() <= set(OPTIONS):
        raise UserError(f"the marker drystone takes {', '.join(f'{one}=' for one in OPTIONS)}")
    return {
        "nodes": given.get("nodes", 3),
        "params": params_of(given.get("chain", "local"), item.path.parent),
        "topology": given.get("topology", "ring"),
        "hashes_per_s": given.get("hashes_per_s", 0),
        "seed": _seed_of(item),
    }


def _seed_of(item: pytest.Item) -> int:
    """By the command line, or the marker, or made from the test's name; the same all through it."""
    if _seed_key not in item.stash:
        option = item.config.getoption("--drystone-seed")
        marker = item.get_closest_marker(MARKER)
        own = marker.kwargs.get("seed") if marker else None
        if option == RANDOM:
            seed = randbits(32)
        elif option is not None:
            seed = int(option)
        elif own is not None:
            seed = int(own)
        else:
            seed = int.from_bytes(sha256(item.nodeid.encode()).digest()[:4], "big")
        item.stash[_seed_key] = seed
    return item.stash[_seed_key]


def _remember(item: pytest.Item, made: "VirtualNetwork | LiveNetwork") -> None:
    item.stash.setdefault(_networks_key, []).append(made)


def _is_seed(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) <= MOST_SEED
