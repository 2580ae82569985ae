"""Branches laid out in lanes: who builds on whom, what is left out, what is forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from drystone.network.lanes import KEPT_BLOCKS, KEPT_HEIGHTS, Branches, Mark, Seen, grid_of
from drystone.primitives.hashes import BlockHash


def hash_of(name: str) -> BlockHash:
    return BlockHash(name.encode().ljust(32, b"."))


def seen(name: str, below: str, height: int) -> Seen:
    return Seen(hash_of(name), hash_of(below), height, height + 1, 0x207FFFFF, None)


def branches_of(*blocks: tuple[str, str, int]) -> Branches:
    branches = Branches()
    for block in blocks:
        branches.add(seen(*block))
    return branches


def names(branches: Branches, best: str, *, heights: int = 20, most: int = 9) -> list[str]:
    """Each lane's blocks, and the number of the lane below."""
    lanes = branches.lanes(hash_of(best), heights=heights, most=most)
    return [
        "".join(block.hash.decode()[0] for block in lane.blocks)
        + ("" if lane.below is None else str(lane.below))
        for lane in lanes
    ]


FORKED = (
    ("a", "0", 1),
    ("b", "a", 2),
    ("c", "b", 3),
    ("f", "a", 2),
    ("g", "f", 3),
    ("d", "c", 4),
    ("x", "g", 4),
    ("y", "g", 4),
)


def drawn(branches: Branches, best: str, **room: int) -> list[str]:
    size = {"heights": 20, "most": 9, **room}
    return [
        "".join(c.value if isinstance(c, Mark) else c.hash.decode()[0] for c in row)
        for row in grid_of(branches.lanes(hash_of(best), **size)).rows
    ]


def test_the_best_branch_is_the_first_lane_and_others_begin_above_their_fork() -> None:
    assert names(branches_of(*FORKED), "d") == ["abcd", "fgy0", "x1"]
    assert names(branches_of(*FORKED), "x") == ["afgx", "y0", "bcd0"]


def test_a_grid_has_blocks_at_their_heights_and_lines_down_from_what_they_build_on() -> None:
    assert drawn(branches_of(*FORKED), "d") == ["abcd", "╰fgy", "  ╰x"]
    assert drawn(branches_of(*FORKED), "x") == ["afgx", "│ ╰y", "╰bcd"]


def test_heights_and_lanes_that_have_no_room_are_left_out() -> None:
    branches = branches_of(*FORKED)
    assert drawn(branches, "d", heights=2) == ["cd", "gy", "╰x"]
    assert drawn(branches, "d", most=1) == ["abcd"]
    assert drawn(branches, "d", heights=1) == ["d", "y", "x"]


def test_an_unknown_tip_has_no_lanes() -> None:
    assert names(Branches(), "a") == []
    assert grid_of([]).rows == []


def test_a_block_whose_parent_is_unknown_ends_its_branch() -> None:
    branches = branches_of(("c", "b", 3), ("d", "c", 4))
    assert [block.height for block in branches.branch(hash_of("d"))] == [4, 3]
    assert names(branches, "d") == ["cd"]


def test_low_blocks_are_forgotten_and_told() -> None:
    branches = Branches()
    forgotten = []
    for height in range(3 * KEPT_HEIGHTS):
        forgotten += branches.add(seen(f"{height}", f"{height - 1}", height))
    assert [block.height for block in forgotten] == list(range(len(forgotten)))
    kept = [block.height for block in branches]
    assert kept[-1] == 3 * KEPT_HEIGHTS - 1 and kept == list(range(kept[0], kept[-1] + 1))
    assert len(kept) <= 2 * KEPT_HEIGHTS + 1


def test_side_branches_without_end_are_forgotten_too() -> None:
    branches = Branches()
    for number in range(KEPT_BLOCKS + 500):
        branches.add(seen(f"{number}", "0", 1))
    assert sum(1 for _ in branches) <= KEPT_BLOCKS


@given(
    parents=st.lists(st.integers(0, 40), min_size=1, max_size=40),
    heights=st.integers(1, 30),
    most=st.integers(1, 6),
)
def test_any_tree_is_drawn_with_each_block_once_at_its_height(
    parents: list[int], heights: int, most: int
) -> None:
    branches = Branches()
    blocks = [seen("0", "none", 0)]
    branches.add(blocks[0])
    for number, parent in enumerate(parents, start=1):
        below = blocks[parent % len(blocks)]
        block = Seen(
            hash_of(str(number)), below.hash, below.height + 1, below.height + 2, 0x207FFFFF, None
        )
        blocks.append(block)
        branches.add(block)
    best = max(blocks, key=lambda block: block.chainwork)
    lanes = branches.lanes(best.hash, heights=heights, most=most)
    grid = grid_of(lanes)
    assert len(grid.rows) == len(lanes) <= most
    assert lanes[0].blocks[-1] is best
    cells = [
        (cell, grid.lowest + column)
        for row in grid.rows
        for column, cell in enumerate(row)
        if not isinstance(cell, Mark)
    ]
    assert len({cell.hash for cell, _ in cells}) == len(cells)
    assert all(cell.height == height > best.height - heights for cell, height in cells)
