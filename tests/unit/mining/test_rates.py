"""Hash rates by default."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drystone.consensus.chains import LOCAL, MAINNET, REGTEST
from drystone.consensus.params import Params
from drystone.mining.rates import default_hashes_per_s, shares


@pytest.mark.parametrize(
    ("params", "hashes_per_s"),
    [(LOCAL, 6554), (REGTEST, 1), (MAINNET, 7_158_389)],
    ids=lambda value: getattr(value, "name", None),
)
def test_blocks_of_the_first_difficulty_come_at_the_chains_spacing(
    params: Params, hashes_per_s: int
) -> None:
    assert default_hashes_per_s(params) == hashes_per_s


@given(st.integers(0, 10**9), st.integers(1, 1000))
def test_nodes_share_it_evenly_and_nothing_is_lost(hashes_per_s: int, nodes: int) -> None:
    parts = shares(hashes_per_s, nodes)
    assert len(parts) == nodes
    assert sum(parts) == hashes_per_s
    assert max(parts) - min(parts) <= 1
