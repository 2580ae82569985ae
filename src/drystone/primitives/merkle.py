r"""Merkle trees as Bitcoin builds them: the root, the mutation they suffer from, branches.

```
            root              An odd row's last hash is paired with itself. So three leaves
         /        \           and the same three with the third twice have one root:
      h(01)      h(22)        CVE-2012-2459. `merkle_root` tells, and a block that it tells
     /    \     /    \        of is refused without being marked invalid.
    0      1    2     2
```
"""

from collections.abc import Sequence

from drystone.primitives.hashes import NULL_HASH, sha256d


def merkle_root(leaves: Sequence[bytes]) -> tuple[bytes, bool]:
    """The root over 32-byte leaves, and whether the tree is mutated. Core: ComputeMerkleRoot.

    Mutated: somewhere two neighbours of a pair are equal without the row's end forcing it, so
    that another list of leaves has the same root. No leaves: the null hash.
    """
    if not leaves:
        return NULL_HASH, False
    row = list(leaves)
    mutated = False
    while len(row) > 1:
        mutated = mutated or any(map(bytes.__eq__, row[0:-1:2], row[1::2]))
        row = _row_above(row)
    return row[0], mutated


def merkle_branch(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The hashes beside the path from a leaf to the root, lowest first.

    Raises IndexError if there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"no leaf {index} among {len(leaves)}")
    row, branch = list(leaves), []
    while len(row) > 1:
        branch.append(row[min(index ^ 1, len(row) - 1)])
        row = _row_above(row)
        index //= 2
    return tuple(branch)


def root_from_branch(leaf: bytes, index: int, branch: Sequence[bytes]) -> bytes:
    """The root that a leaf has under a branch; compare it with the header's."""
    node = leaf
    for beside in branch:
        node = sha256d(beside + node if index & 1 else node + beside)
        index //= 2
    return node


def _row_above(row: list[bytes]) -> list[bytes]:
    if len(row) & 1:
        row.append(row[-1])
    return [sha256d(left + right) for left, right in zip(row[::2], row[1::2], strict=True)]
