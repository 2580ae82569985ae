"""Stores of each kind, for tests that hold for all."""

from collections.abc import Iterator

import pytest
from tests.support.stores import SHELVES, Shelf


@pytest.fixture(params=SHELVES)
def shelf(request: pytest.FixtureRequest) -> Iterator[Shelf]:
    made = SHELVES[request.param]()
    yield made
    made.clear()
