"""What is left to say when a network has ended."""

from collections.abc import Iterator

from drystone.network.classic.board import Board


def summary_lines(board: Board, seconds: float) -> Iterator[str]:
    """A line on the whole, and one for each node."""
    best = board.best
    agreed = "all nodes agree" if board.agreed else "the nodes don't agree yet"
    lost = len(board.stale)
    yield (
        f"ended after {seconds:.0f} s at block {best.height} ({best.tip_hash.hex()[:16]}...):"
        f" {agreed}, {lost} stale block{'s' * (lost != 1)}"
    )
    for port, node in board.nodes.items():
        tally = board.tallies[port]
        why = ", ".join(f"{reason} {n}" for reason, n in tally.ignored_why.most_common())
        yield (
            f"  {port}: block {node.chain.height}, created {tally.created},"
            f" copied {tally.copied}, ignored {tally.ignored}{f' ({why})' if why else ''},"
            f" {tally.hashes:,} nonces tried"
        )
