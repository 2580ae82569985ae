"""Kill a process that keeps a chain on disk, again and again, and look at what it leaves.

    python -m tests.support.kill_campaign [--kills 1000] [--seed 1] [--kills-in-a-life 50]

Each life has a plan (`kill_plan`), a directory, and settings of its own: when the disk is waited
for, how often coins are flushed, how large the files are. A process opens the directory, goes on
with the plan, and tells each step that it has done. It is killed at a random instant. Another one
then opens the directory and checks:

- the tip is that of the last step told, or of the step after it;
- the coins are those of the tip, computed without the chain;
- no block of a step that was told is missing.

Then it closes the directory, or doesn't. At the end of a life the chain is compared with one that
nobody has disturbed, and verified from genesis.

All these processes are forked from one that has never opened a directory, for the engine's threads
don't live through a fork.
"""

import argparse
import os
import select
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Final, NamedTuple

import rocksdict  # noqa: F401  loaded once, not by every process that will be killed

from drystone.chain.chainstate import ChainState
from drystone.chain.importing import take_in_unrecorded
from drystone.chain.store import BlockRecord, Validity
from drystone.chain.verifying import verify_chain
from drystone.drivers.store import journal
from drystone.drivers.store.blocks import DiskBlocks, Fsync
from drystone.drivers.store.directory import ChainDirectory
from drystone.primitives.hashes import BlockHash, display
from tests.support.kill_plan import NOW, PARAMS, digest, make_plan
from tests.support.stores import open_chain

KILLS_IN_A_LIFE: Final = 50
STEPS_IN_A_LIFE: Final = 250
PATIENCE_S: Final = 60

Report = Callable[[str], None]


class Settings(NamedTuple):
    """What differs from life to life."""

    fsync: Fsync
    flush_changes: int
    flush_blocks: int
    file_bytes: int


def settings_of(chance: Random) -> Settings:
    """A life's."""
    return Settings(
        fsync=chance.choice(["flush", "flush", "always", 0.0, 0.01]),
        flush_changes=chance.choice([0, 5, 50, 10**6]),
        flush_blocks=chance.choice([0, 2, 20, 10**6]),
        file_bytes=chance.choice([500, 5_000, 1 << 27]),
    )


class Failed(Exception):
    """Something is not as it must be."""


class Life:
    """One directory, from its first block to the last kill."""

    def __init__(self, seed: int, datadir: Path, seen: Counter[str]) -> None:
        self._chance = Random(seed)
        self.settings = settings_of(self._chance)
        self.plan = make_plan(seed, steps=STEPS_IN_A_LIFE)
        self._datadir = datadir
        self._seen = seen
        self._done = 0  # steps that were told
        self._pace_s = 0.001  # of a step, roughly

    @property
    def is_over(self) -> bool:
        """Whether the plan is carried out."""
        return self._done == len(self.plan.steps)

    def kill_once(self) -> None:
        """Let a process run, kill it, check what it leaves."""
        begun = self._done
        lines = self._run_and_kill(steps=self._chance.choice([1, 4, 12]))
        for line in lines:
            word, _, rest = line.partition(" ")
            if word == "failed":
                raise Failed(f"the process itself failed: {rest}")
            if word == "did":
                step, tip = rest.split()
                self._done = int(step) + 1
                if tip != self.plan.tips[self._done].hex():
                    raise Failed(f"step {step} ended at {tip}")
        self._seen[f"last word: {lines[-1].split()[0] if lines else 'nothing'}"] += 1
        self._seen["steps"] += self._done - begun
        self._check()

    def finish(self) -> None:
        """Carry out the rest undisturbed, and compare the whole with a run that nobody has."""
        self._expect(lambda say: self._work(say, len(self.plan.steps)), "closed")
        self._expect(self._compare, "same")

    # ------------------------------------------------------------------ in this process

    def _run_and_kill(self, steps: int) -> list[str]:
        chance = self._chance
        pid, pipe = forked(lambda say: self._work(say, steps))
        data = b""
        # Some die while they open, most somewhere in a step, some while they close.
        lines_before = 0 if chance.random() < 0.25 else chance.randint(1, steps + 1)
        deadline = time.monotonic() + PATIENCE_S
        while data.count(b"\n") < lines_before:
            ready, _, _ = select.select([pipe], [], [], max(0, deadline - time.monotonic()))
            part = os.read(pipe, 65536) if ready else b""
            if not part:
                break
            data += part
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            raise Failed(f"it hangs: {data.decode()}")
        time.sleep(chance.random() * (0.05 if lines_before == 0 else 3 * self._pace_s))
        os.kill(pid, signal.SIGKILL)
        while part := os.read(pipe, 65536):
            data += part
        os.close(pipe)
        _, status = os.waitpid(pid, 0)
        self._seen["killed" if os.WIFSIGNALED(status) else "ended before"] += 1
        return data.decode().splitlines()

    def _check(self) -> None:
        done, *seen = self._expect(self._look, "is").split()
        self._done = int(done)
        self._seen.update(f"found: {what}" for what in seen)

    def _expect(self, task: Callable[[Report], None], word: str) -> str:
        pid, pipe = forked(task)
        data = b""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            ready, _, _ = select.select([pipe], [], [], max(0, deadline - time.monotonic()))
            part = os.read(pipe, 65536) if ready else b""
            if not part:
                break
            data += part
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        os.close(pipe)
        _, status = os.waitpid(pid, 0)
        lines = data.decode().splitlines()
        last = lines[-1].split(" ", 1) if lines else [""]
        if status != 0 or last[0] != word:
            raise Failed(f"after {self._done} steps: status {status}, {lines[-1:]}")
        return last[-1]

    # ------------------------------------------------------------------ in a process of its own

    def _open(self) -> tuple[ChainDirectory, ChainState]:
        defaults = DiskBlocks.__init__.__kwdefaults__
        assert defaults is not None
        defaults["file_bytes"] = self.settings.file_bytes
        journal.SPARE_RECORDS = 30  # so that it is replaced now and then
        directory = ChainDirectory.open(self._datadir, PARAMS, fsync=self.settings.fsync)
        chain = ChainState(
            PARAMS,
            directory.blocks,
            directory.coins,
            flush_changes=self.settings.flush_changes,
            flush_blocks=self.settings.flush_blocks,
        )
        return directory, chain

    def _work(self, say: Report, steps: int) -> None:
        directory, chain = self._open()
        for _ in take_in_unrecorded(chain, now=NOW):
            pass
        say("opened")
        for number, step in list(enumerate(self.plan.steps))[self._done :][:steps]:
            step(chain)
            say(f"did {number} {chain.tip.hash.hex()}")
        chain.close()
        directory.close()
        say("closed")

    def _look(self, say: Report) -> None:
        """Open what a killed process has left. Says how many steps are done."""
        directory, chain = self._open()
        seen = ["coins-behind"] if directory.coins.tip != chain.tip.hash else []
        seen += ["remains-to-drop"] if directory.notes else []
        allowed = self.plan.tips[self._done : self._done + 2]
        self._check_chain(chain, allowed)
        for block_hash in self._told():
            node = chain.tree.get(block_hash)
            if node is None or not node.has_data:
                raise Failed(f"block {display(block_hash)} is lost")
            chain.stored_block(block_hash)
        for report in take_in_unrecorded(chain, now=NOW):
            seen += ["unrecorded-blocks"] if report.new else []
        self._check_chain(chain, allowed)
        for height in range(1, chain.height + 1):
            chain.undo(chain.at(height).hash)
        # Whether the step after the last one told was done can be seen where it moves the tip.
        moved = chain.tip.hash != allowed[0]
        if self._chance.random() < 0.5:
            chain.close()
            directory.close()
        say(
            " ".join(
                ["is", str(self._done + moved), *seen, *(["a-step-not-told"] if moved else [])]
            )
        )

    def _told(self) -> set[BlockHash]:
        return {block for blocks in self.plan.blocks[: self._done] for block in blocks} & set(
            self.plan.coins
        )

    def _check_chain(self, chain: ChainState, allowed: list[BlockHash]) -> None:
        if chain.tip.hash not in allowed:
            raise Failed(f"the tip is {display(chain.tip.hash)}, at {chain.height}")
        if digest(chain.coins.items()) != self.plan.coins[chain.tip.hash]:
            raise Failed(f"the coins are not those of {display(chain.tip.hash)}")

    def _compare(self, say: Report) -> None:
        undisturbed = open_chain(PARAMS)
        for step in self.plan.steps:
            step(undisturbed)
        directory, chain = self._open()
        self._check_chain(chain, [undisturbed.tip.hash])
        if known(chain) != known(undisturbed):
            raise Failed("the trees differ")
        for node in chain.tree.nodes.values():
            if node.has_data:
                same = chain.stored_block(node.hash) == undisturbed.stored_block(node.hash)
                if not same:
                    raise Failed(f"block {display(node.hash)} differs")
            is_valid = node.validity is Validity.SCRIPTS
            if is_valid and chain.undo(node.hash) != undisturbed.undo(node.hash):
                raise Failed(f"the undo data of {display(node.hash)} differ")
        problems = [report.problems for report in verify_chain(chain, now=NOW)][-1]
        if problems:
            raise Failed(problems[0])
        chain.close()
        directory.close()
        say("same")


def known(chain: ChainState) -> list[BlockRecord]:
    """What a chain knows of its blocks, but the order in which they came."""
    records = [node.record()._replace(sequence=0) for node in chain.tree.nodes.values()]
    return sorted(records, key=lambda record: record.header.hash)


def forked(task: Callable[[Report], None]) -> tuple[int, int]:
    """Run a task in a process of its own: its id, and a pipe of what it reports."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader

    def say(line: str) -> None:
        os.write(writer, f"{line}\n".encode())

    status = 1
    try:
        task(say)
        status = 0
    except BaseException as error:  # noqa: BLE001  it must not go on as its parent
        frame = traceback.extract_tb(error.__traceback__)[-1]
        say(f"failed {type(error).__name__}: {error} ({frame.filename}:{frame.lineno})")
    finally:
        os._exit(status)


def campaign(
    kills: int, seed: int, say: Report, kills_in_a_life: int = KILLS_IN_A_LIFE
) -> Counter[str]:
    """Kill so many times. Raises Failed, having said how to see it again."""
    seen: Counter[str] = Counter()
    number = 0
    while seen["killed"] < kills:
        number += 1
        folder = Path(mkdtemp(prefix="drystone-kill-"))
        life = Life(seed * 1000 + number, folder, seen)
        began = time.monotonic()
        before = seen["killed"]
        try:
            while (
                seen["killed"] - before < kills_in_a_life
                and seen["killed"] < kills
                and not life.is_over
            ):
                life.kill_once()
            life.finish()
        except Failed as failed:
            raise Failed(
                f"life {seed * 1000 + number}, {life.settings}, {folder}: {failed}"
            ) from None
        shutil.rmtree(folder)
        say(
            f"life {number}: {seen['killed'] - before} kills in {time.monotonic() - began:.1f} s, "
            f"{life.settings}"
        )
    return seen


def main() -> None:
    """Do as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills-in-a-life", type=int, default=KILLS_IN_A_LIFE)
    options = parser.parse_args()
    began = time.monotonic()
    try:
        seen = campaign(
            options.kills,
            options.seed,
            lambda line: print(line, flush=True),
            options.kills_in_a_life,
        )
    except Failed as failed:
        sys.exit(f"FAILED: {failed}")
    print(
        f"{seen.pop('killed')} processes killed in {time.monotonic() - began:.0f} s, "
        f"{seen.pop('steps')} steps told"
    )
    for what, count in sorted(seen.items()):
        print(f"{count:6} {what}")


if __name__ == "__main__":
    main()
