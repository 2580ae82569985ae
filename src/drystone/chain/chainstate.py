"""One node's chain: the tree of blocks, the coins at its tip, and the way from one tip to another.

A block comes in by `submit`. Its rules are checked in three places, each with what it needs: by
itself, on top of its headers, and against the coins. Only the last can wait until the block's
branch has the most work; then the chain moves:

```
             .- b2 - b3 - b4    1. disconnect a3, a2: on paper, in a CoinsChange
genesis - a1                    2. connect b2, b3, b4 there: any may turn out to be invalid
             `- a2 - a3         3. commit: undo data, records, the tip; then the coins
```

Before the third step nothing has happened, and it is one step. If a block on the way is invalid it
is marked, the paper is thrown away, and the next best branch is tried.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from drystone.chain.coins import MOST_READ, CoinsCache, CoinsChange
from drystone.chain.findings import Finding, Findings, again
from drystone.chain.outcomes import Arrival, Outcome, Submission, TipChange
from drystone.chain.recent import RecentBlocks
from drystone.chain.signatures import AtOnce, Signatures, Verdict
from drystone.chain.store import BlockStore, BlockUndo, CoinStore, StoreError, Validity
from drystone.chain.tree import BlockNode, BlockTree, fork_of, path_up
from drystone.consensus.coins import Coin
from drystone.consensus.connect import BlockChange, Known, check_scripts, connect_block
from drystone.consensus.deployments import script_flags
from drystone.consensus.errors import BlockInvalid, Rejected
from drystone.consensus.header import (
    check_header,
    check_not_from_the_future,
    contextual_check_header,
)
from drystone.consensus.params import MAX_FUTURE_BLOCK_TIME_S, Params
from drystone.consensus.pow import next_bits
from drystone.consensus.verifier import SignatureCheck, verify_one_by_one
from drystone.primitives.block import Block, BlockHeader, BlockLocator, locator_heights
from drystone.primitives.hashes import BlockHash, display
from drystone.primitives.transaction import OutPoint, Transaction

INVALIDATED: Final = "invalidated-by-hand"  # a failure that is no rule's

STEP_BLOCKS: Final = 128  # a long way up is gone, and committed, in steps of so many
WAITING_BLOCKS: Final = 128  # whose signatures may be being checked while we read on
FLUSH_BLOCKS: Final = 2_000  # coins lag at most so far: opening walks them as far
FLUSH_CHANGES: Final = 400_000  # and so many of them wait in memory at most

Progress = Callable[[int, int], None]
"""Is told how many blocks of how many are done, where that may take long."""


class _Connected:
    """A block that was connected on paper, its signatures perhaps not yet checked.

    verdict: None: there was nothing to ask.
    """

    __slots__ = ("change", "finding", "node", "verdict")

    def __init__(
        self, node: BlockNode, finding: Finding, change: BlockChange, verdict: Verdict | None
    ) -> None:
        self.node = node
        self.finding = finding
        self.change = change
        self.verdict = verdict


class _FoundInvalid(Exception):
    """A block turned out to be invalid when it was connected."""

    def __init__(self, node: BlockNode, error: BlockInvalid) -> None:
        super().__init__(node, error)
        self.node = node
        self.error = error


def _never(_node: BlockNode) -> bool:
    return False


def _nothing() -> None:
    pass


def _no_progress(_done: int, _all: int) -> None:
    pass


class _Step:
    """Around what ends whole, or leaves the chain of no use. trouble: why it is of none."""

    __slots__ = ("trouble",)

    def __init__(self) -> None:
        self.trouble: str | None = None

    def __enter__(self) -> None:
        if self.trouble is not None:
            raise StoreError(f"this chain can't go on: {self.trouble}")

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if error is not None and not isinstance(error, Rejected):
            self.trouble = str(error) or type(error).__name__


class ChainState:
    """The chain with the most work, among all blocks that came in. Core: ChainstateManager.

    blocks, coins: the stores, which are this object's alone from here on. signatures: who checks
    them. are_scripts_assumed: whether a block's scripts are taken to be valid without a look.
    progress: is told while coins that lag behind are walked to the tip. findings: about blocks,
    which other nodes of the same chain may share.

    known_scripts: tells of which transactions the scripts were found valid before: a mempool's
    cache, which its node puts here.
    unrecorded: blocks that the store has found, but was never told of: `importing` takes them in.

    A StoreError, or anything else that isn't about a block, leaves the object of no use: what was
    committed is in the store, and opening that again goes on from there.
    """

    def __init__(
        self,
        params: Params,
        blocks: BlockStore,
        coins: CoinStore,
        *,
        signatures: Signatures | None = None,
        findings: Findings | None = None,
        are_scripts_assumed: Callable[[BlockNode], bool] = _never,
        flush_changes: int = FLUSH_CHANGES,
        flush_blocks: int = FLUSH_BLOCKS,
        coins_read: int = MOST_READ,
        progress: Progress = _no_progress,
    ) -> None:
        self.params = params
        self.tree = BlockTree(params.genesis.header)
        self._blocks = blocks
        self._coins = CoinsCache(coins, coins_read)
        self._signatures = signatures or AtOnce()
        self.findings = findings or Findings.none(params)
        self._are_scripts_assumed = are_scripts_assumed
        self._flush_changes = flush_changes
        self._flush_blocks = flush_blocks
        self._recent = RecentBlocks()
        self._active = [self.tree.genesis]
        self.tip = self.tree.genesis  # the last block of the chain
        self._dirty: dict[BlockNode, None] = {}  # nodes whose records are to be committed
        self._found: dict[BlockNode, BlockInvalid] = {}  # by the present submission
        self._unflushed_blocks = 0
        self._step = _Step()
        self.known_scripts: Known | None = None
        self.unrecorded: Iterable[Block] = ()
        self._open(coins.tip, progress)

    # ------------------------------------------------------------------ looking

    @property
    def height(self) -> int:
        """The tip's."""
        return len(self._active) - 1

    def at(self, height: int) -> BlockNode:
        """The chain's block at a height. Raises IndexError."""
        if height < 0:
            raise IndexError(height)
        return self._active[height]

    def is_active(self, node: BlockNode) -> bool:
        """Whether a block is in the chain."""
        return node.height < len(self._active) and self._active[node.height] is node

    def coin(self, outpoint: OutPoint) -> Coin | None:
        """The coin there, at the tip, or None."""
        return self._coins.get(outpoint)

    @property
    def coins(self) -> CoinsCache:
        """The coins at the tip, to look at."""
        return self._coins

    def block(self, block_hash: BlockHash) -> Block:
        """A block whose data have come. Raises KeyError."""
        block = self._recent.get(block_hash)
        if block is None:
            block = self._blocks.block(block_hash)
            self._recent.put(block)
        return block

    def stored_block(self, block_hash: BlockHash) -> Block:
        """The same, as the store has it now."""
        return self._blocks.block(block_hash)

    def block_bytes(self, block_hash: BlockHash) -> bytes:
        """The same as on the wire."""
        return self._blocks.block_bytes(block_hash)

    def undo(self, block_hash: BlockHash) -> BlockUndo:
        """The coins that a block spent and didn't make itself. Raises KeyError."""
        return self._blocks.undo(block_hash)

    def locator(self, node: BlockNode | None = None) -> BlockLocator:
        """Where the chain, or another branch, stands."""
        node = node or self.tip
        heights = locator_heights(node.height)
        return BlockLocator(tuple(node.ancestor(height).hash for height in heights))

    def fork_with(self, locator: BlockLocator) -> BlockNode:
        """The last block of the chain that a locator tells of. Core: FindForkInGlobalIndex."""
        for block_hash in locator.hashes:
            node = self.tree.get(block_hash)
            if node is not None:
                if self.is_active(node):
                    return node
                if node.descends_from(self.tip):
                    return self.tip
        return self.tree.genesis

    # ------------------------------------------------------------------ what comes in

    def is_mutated(self, block: Block, *, expect_commitment: bool) -> bool:
        """Whether these bytes can't be the block that the header stands for: `consensus.block`."""
        return self.findings.of(block).is_mutated(expect_commitment=expect_commitment)

    def keeps_rules(self, header: BlockHeader) -> bool:
        """Whether a header was found to be right by itself, here or by who shares the findings."""
        found = self.tree.get(header.hash) or self.findings.header(header.hash)
        return found is not None

    def submit_header(self, header: BlockHeader, *, now: int) -> BlockNode:
        """Take in a header alone. now: unix seconds, by which it may be two hours ahead.

        Raises BlockInvalid, BlockPremature or BlockOrphan. Core: AcceptBlockHeader.
        """
        return self.submit_headers([header], now=now)[0]

    def submit_headers(self, headers: Sequence[BlockHeader], *, now: int) -> list[BlockNode]:
        """Take in headers, parents first; at the first that is refused the others are left.

        Raises what `submit_header` does; those before it have been taken in.
        """
        known = [
            node
            for header in headers
            if (node := self.tree.get(header.hash)) is not None and not node.is_failed
        ]
        if len(known) == len(headers) and self._step.trouble is None:  # as most announcements are
            return known
        with self._step:
            try:
                return [self._accept_header(header, now) for header in headers]
            finally:
                self._commit()

    def submit(self, block: Block, *, now: int, encoded: bytes | None = None) -> Submission:
        """Take in a block, and move the tip if that makes a better chain.

        now: unix seconds. encoded: the block's bytes where they are at hand. Nothing is raised
        for a bad block: see Outcome. Core: ProcessNewBlock.
        """
        return self.submit_all([Arrival(block, encoded)], now=now)

    def submit_all(
        self,
        arrivals: Iterable[Arrival],
        *,
        now: int,
        meanwhile: Callable[[], None] = _nothing,
    ) -> Submission:
        """Take in blocks, and only then move the tip, as far as they allow.

        It ends where one after the other would have ended; but all are committed at once, and
        signatures of one block can be checked while the next one is read. meanwhile: is called
        while the last of them are being checked, a good time to prepare for the next call.
        """
        with self._step:
            outcomes = [self._receive(arrival, now) for arrival in arrivals]
            change = self._activate(meanwhile)
            return Submission(tuple(map(self._with_error, outcomes)), change)

    # ------------------------------------------------------------------ by hand

    def invalidate(self, block_hash: BlockHash) -> TipChange | None:
        """Treat a block as invalid, whatever it is, and leave it. Core: InvalidateBlock.

        Raises KeyError if it isn't known, ValueError for genesis.
        """
        node = self.tree.nodes[block_hash]
        if node is self.tree.genesis:
            raise ValueError("genesis can't be invalidated")
        with self._step:
            if node.failure is None:  # a broken rule is worth remembering
                self._fail(node, INVALIDATED)
            self.tree.reconsider_all()
            return self._activate()

    def reconsider(self, block_hash: BlockHash) -> TipChange | None:
        """Forget what was found against a block, those below it and those that build on it.

        Raises KeyError if it isn't known. Core: ReconsiderBlock.
        """
        node = self.tree.nodes[block_hash]
        with self._step:
            self._dirty.update(dict.fromkeys(self.tree.unfail(node)))
            return self._activate()

    def precious(self, block_hash: BlockHash) -> TipChange | None:
        """Prefer a block to others of its work, as if it had come first. Core: PreciousBlock.

        Raises KeyError if it isn't known.
        """
        node = self.tree.nodes[block_hash]
        with self._step:
            if self.tree.make_precious(node, self.tip):
                self._dirty[node] = None
            return self._activate()

    # ------------------------------------------------------------------ keeping

    def took_in_unrecorded(self) -> None:
        """Let the store know that what it had found unrecorded has been submitted, all of it."""
        with self._step:
            self.unrecorded = ()
            self._blocks.took_in_unrecorded()

    def flush(self) -> None:
        """Write the coins as they are at the tip, and have all that is written put on disk."""
        with self._step:
            self._flush()

    def close(self) -> None:
        """Write what is left to write, and let go of the stores. Closing twice is fine."""
        try:
            if self._step.trouble is None:
                self.flush()
        finally:
            self._step.trouble = self._step.trouble or "it is closed"
            try:
                self._coins.close()
            finally:
                self._blocks.close()

    def abandon(self) -> None:
        """Let go of the stores and write nothing more, as if the process had been killed."""
        self._step.trouble = self._step.trouble or "it is abandoned"
        self.close()

    # ------------------------------------------------------------------ taking in

    def _accept_header(self, header: BlockHeader, now: int) -> BlockNode:
        node = self.tree.get(header.hash)
        if node is not None:
            if node.is_failed:
                raise BlockInvalid("duplicate-invalid", f"known to be: {node.failure or 'below'}")
            return node
        known = self.findings.header(header.hash)
        if known is None:
            check_header(header, self.params)
        parent = self.tree.parent_of(header)
        max_time = now + MAX_FUTURE_BLOCK_TIME_S
        if known is not None:
            check_not_from_the_future(header, max_time)
            node = self.tree.add(known.header, parent, known)
        else:
            self._check_header_in_place(header, parent, max_time)
            node = self.tree.add(header, parent)
            self.findings.keeps_rules(node)
        self._dirty[node] = None
        return node

    def _check_header_in_place(self, header: BlockHeader, parent: BlockNode, max_time: int) -> None:
        contextual_check_header(
            header,
            parent.header,
            height=parent.height + 1,
            expected_bits=next_bits(parent.height, parent.header_at, header.time, self.params),
            previous_median_time=parent.median_time_past,
            max_time=max_time,
            params=self.params,
        )

    def _receive(self, arrival: Arrival, now: int) -> Outcome:
        finding = self.findings.of(arrival.block)
        block = finding.block
        try:
            finding.check(self.params)
            node = self._accept_header(block.header, now)
            if node.has_data:
                return Outcome(node, is_new=False, error=None)
            self._check_in_place(finding, node)
        except Rejected as error:
            return Outcome(self.tree.get(block.header.hash), is_new=False, error=error)
        self._blocks.add_block(block, arrival.encoded)
        self._recent.put(block)
        self._dirty.update(dict.fromkeys(self.tree.add_data(node, len(block.vtx))))
        return Outcome(node, is_new=True, error=None)

    def _check_in_place(self, finding: Finding, node: BlockNode) -> None:
        """The rules of a block on top of its headers; one that breaks them is marked."""
        assert node.parent is not None
        try:
            finding.check_in_place(node.height, node.parent.median_time_past, self.params)
        except BlockInvalid as error:
            self._fail(node, error.reason)
            raise

    def _with_error(self, outcome: Outcome) -> Outcome:
        """The outcome, now that the block may have been connected."""
        node = outcome.node
        if outcome.error is not None or node is None or not node.is_failed:
            return outcome
        error = self._found.get(node) or BlockInvalid(node.failure or "bad-prevblk")
        return Outcome(node, is_new=outcome.is_new, error=error)

    def _fail(self, node: BlockNode, reason: str) -> None:
        self.tree.fail(node, reason)
        self._dirty[node] = None

    # ------------------------------------------------------------------ moving

    def _activate(self, meanwhile: Callable[[], None] = _nothing) -> TipChange | None:
        """Move to the best chain there is, and commit. Core: ActivateBestChain."""
        self._found.clear()
        start = self.tip
        while (target := self.tree.best()) is not None and target is not self.tip:
            self._move_towards(target, meanwhile)
            meanwhile = _nothing
        self.tree.forget_worse_than(self.tip)
        self._commit()
        if self.tip is start:
            return None
        if self._coins.unwritten > self._flush_changes or (
            self._unflushed_blocks > self._flush_blocks
        ):
            self._flush()
        return self._change_from(start)

    def _move_towards(self, target: BlockNode, meanwhile: Callable[[], None]) -> None:
        """Move the tip to a better block; or mark a bad one on the way.

        A long way straight up is gone in steps, each a tip for a moment. A reorganisation is one
        step, however deep: nobody ever sees a tip between the old one and the new one.
        """
        old = self.tip
        fork = fork_of(old, target)
        if fork is old and target.height > old.height + STEP_BLOCKS:
            target = target.ancestor(old.height + STEP_BLOCKS)
        paper = CoinsChange(self._coins)
        for node in reversed(path_up(fork, old)):
            paper.disconnect(self.block(node.hash), self._blocks.undo(node.hash))
        waiting: deque[_Connected] = deque()
        new = fork
        try:
            for node in path_up(fork, target):
                waiting.append(self._connect(node, paper, waiting))
                new = node
                if len(waiting) > WAITING_BLOCKS:
                    self._settle(waiting.popleft())
            meanwhile()
            while waiting:
                self._settle(waiting.popleft())
        except _FoundInvalid as found:
            self._fail(found.node, found.error.reason)
            self._found[found.node] = found.error
            return
        self._commit(new, paper)

    def _connect(
        self, node: BlockNode, paper: CoinsChange, waiting: deque[_Connected]
    ) -> _Connected:
        """Connect a block on paper, and start to check its signatures.

        waiting: those below it. If this one is invalid, but one of those is, too, that one is to
        be found. Raises _FoundInvalid.
        """
        finding = self.findings.of(self.block(node.hash))
        if finding.change is not None:
            paper.connect(finding.change)
            return _Connected(node, finding, finding.change, None)
        verdict: Verdict | None = None

        def are_valid(checks: Sequence[SignatureCheck]) -> bool:
            nonlocal verdict
            verdict = self._signatures.start(checks)
            return True  # for now

        is_known = node.validity is Validity.SCRIPTS
        is_assumed = is_known or self._are_scripts_assumed(node)
        try:
            if finding.unfit is not None and not is_assumed:
                raise again(finding.unfit)
            change = self._connect_block(
                finding.block, node, paper, None if is_assumed else are_valid
            )
        except BlockInvalid as error:
            if is_known:
                raise self._disagreement(node, error) from None
            if not is_assumed:
                finding.unfit = again(error)
            while waiting:
                self._settle(waiting.popleft())
            raise _FoundInvalid(node, error) from None
        paper.connect(change)
        if verdict is None and not is_assumed:  # it has no signatures to wait for
            finding.connected(change)
        return _Connected(node, finding, change, verdict)

    def _connect_block(
        self,
        block: Block,
        node: BlockNode,
        paper: CoinsChange,
        are_valid: Callable[[Sequence[SignatureCheck]], bool] | None,
    ) -> BlockChange:
        parent, bip34_height = node.parent, self.params.bip34_height
        assert parent is not None
        has_bip34 = self.params.bip34_hash is not None and parent.height >= bip34_height
        return connect_block(
            block,
            paper,
            height=node.height,
            median_time_at=parent.median_time_at,
            params=self.params,
            bip34_ancestor=parent.ancestor(bip34_height).hash if has_bip34 else None,
            are_valid=are_valid,
            coinbases_differ=bip34_height <= 1,
            known=self.known_scripts,
        )

    def _settle(self, connected: _Connected) -> None:
        """Wait for a block's signatures. Raises _FoundInvalid."""
        node, finding, change = connected.node, connected.finding, connected.change
        if connected.verdict is not None:
            if not connected.verdict():
                self._find_invalid_script(node, finding, change)
            finding.connected(change)
        if node.validity is not Validity.SCRIPTS:
            undo = finding.undo or BlockUndo(tuple(change.spent.items()))
            self._blocks.add_undo(node.hash, undo)
            node.validity = Validity.SCRIPTS
            self._dirty[node] = None

    def _find_invalid_script(self, node: BlockNode, finding: Finding, change: BlockChange) -> None:
        """A signature is wrong: whether the scripts are, and which. Raises _FoundInvalid."""
        flags = script_flags(self.params, node.height, node.hash)
        try:
            check_scripts(finding.block.vtx[1:], change.inputs, flags, verify_one_by_one)
        except BlockInvalid as error:
            finding.unfit = again(error)
            raise _FoundInvalid(node, error) from None

    def _commit(self, tip: BlockNode | None = None, paper: CoinsChange | None = None) -> None:
        """Acknowledge what is new; only then let the coins and the chain follow."""
        if tip is not None or self._dirty:
            records = [node.record() for node in self._dirty]
            self._blocks.commit(records, None if tip is None else tip.hash)
            self._dirty.clear()
        if tip is not None and paper is not None:
            self._coins.apply(paper)
            self._go_to(tip)

    def _go_to(self, tip: BlockNode) -> None:
        """Let the chain end with a block."""
        fork = fork_of(self.tip, tip)
        way = path_up(fork, tip)
        self._unflushed_blocks += len(self._active) - (fork.height + 1) + len(way)
        del self._active[fork.height + 1 :]
        self._active += way
        self.tip = self._active[-1]

    def _change_from(self, start: BlockNode) -> TipChange:
        """What it meant that the tip moved."""
        fork = fork_of(start, self.tip)
        disconnected, connected = path_up(fork, start), path_up(fork, self.tip)
        unconfirmed: list[Transaction] = []
        if disconnected:
            confirmed = {tx.txid for node in connected for tx in self.block(node.hash).vtx}
            for node in disconnected:
                transactions = self.block(node.hash).vtx[1:]
                unconfirmed += [tx for tx in transactions if tx.txid not in confirmed]
        return TipChange(
            start, self.tip, tuple(reversed(disconnected)), tuple(connected), tuple(unconfirmed)
        )

    def _flush(self) -> None:
        self._blocks.sync()
        self._coins.flush(self.tip.hash)
        self._unflushed_blocks = 0

    # ------------------------------------------------------------------ opening

    def _open(self, coins_tip: BlockHash | None, progress: Progress) -> None:
        """Take up what the stores hold, and bring the coins to the tip."""
        loaded = self._blocks.load()
        try:
            self.tree.restore(loaded.records)
        except KeyError as missing:
            raise StoreError(
                f"a block builds on {display(missing.args[0])}, which isn't there: these are "
                "another chain's blocks, or they are damaged: reindex"
            ) from None
        genesis = self.tree.genesis
        if loaded.tip is None:
            if coins_tip not in (None, genesis.hash):
                raise StoreError("there are coins but no blocks: restore or remove both")
            self._begin()
        else:
            self._go_to(self._node_of(loaded.tip, "the tip"))
        self._unflushed_blocks = 0
        if coins_tip is None:
            self._coins.flush(genesis.hash)
            coins_tip = genesis.hash
        self._walk_coins(self._node_of(coins_tip, "the coins' block"), progress)
        with self._step:
            self._activate()  # the process may have died between a block and its connecting
        self.unrecorded = loaded.unrecorded

    def _begin(self) -> None:
        """A new chain: genesis alone. Its coins can't be spent, so there are none."""
        genesis = self.tree.genesis
        block = self.params.genesis
        self._blocks.add_block(block)
        self._blocks.add_undo(block.hash, BlockUndo(()))
        self.tree.add_data(genesis, len(block.vtx))
        genesis.validity = Validity.SCRIPTS
        self._blocks.commit([genesis.record()], genesis.hash)

    def _node_of(self, block_hash: BlockHash, what: str) -> BlockNode:
        node = self.tree.get(block_hash)
        if node is None:
            raise StoreError(
                f"{what}, {display(block_hash)}, is not among the blocks: reindex, or restore both"
            )
        return node

    def _walk_coins(self, start: BlockNode, progress: Progress) -> None:
        """Bring coins that some block left to the tip. All blocks on the way were valid once."""
        fork = fork_of(start, self.tip)
        down, up = path_up(fork, start), path_up(fork, self.tip)
        total = len(down) + len(up)
        paper = CoinsChange(self._coins)
        for done, node in enumerate((*reversed(down), *up), start=1):
            block = self.block(node.hash)
            if done <= len(down):
                paper.disconnect(block, self._blocks.undo(node.hash))
            else:
                try:
                    paper.connect(self._connect_block(block, node, paper, None))
                except BlockInvalid as error:
                    raise self._disagreement(node, error) from None
            if done % STEP_BLOCKS == 0 or done == total:
                self._coins.apply(paper)
                paper = CoinsChange(self._coins)
                if self._coins.unwritten > self._flush_changes:
                    stands_at = node.parent if done <= len(down) else node
                    assert stands_at is not None  # genesis is never left
                    self._coins.flush(stands_at.hash)
                progress(done, total)
        self._unflushed_blocks = total

    def _disagreement(self, node: BlockNode, error: BlockInvalid) -> StoreError:
        return StoreError(
            f"blocks and coins don't fit together: block {node.height} was valid and now is "
            f"{error.reason}: reindex"
        )
