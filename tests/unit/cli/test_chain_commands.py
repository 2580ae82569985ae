"""`drystone chain`: looking, moving, carrying elsewhere, checking, mending."""

import array
import fcntl
import json
import re
import shlex
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copytree
from typing import Any
from unittest.mock import patch

import pytest
from tests.support.blocks import REGTEST
from tests.support.branches import Branches, first_coin, payment
from tests.support.cli import Outcome, run_main
from tests.support.kept_chains import framed, keep, spending_chain, tip_of
from tests.support.processes import PATIENCE_S, command, environment
from tests.support.terminal import Terminal

from drystone.chain.blockfile import frame, xored
from drystone.chain.chainstate import ChainState
from drystone.chain.coins_digest import coins_digest
from drystone.chain.outcomes import Arrival
from drystone.cli.tables import amount, span, table_lines
from drystone.consensus.chains import LOCAL
from drystone.network.opening import opened_chain
from drystone.primitives.block import Block
from drystone.primitives.hashes import display
from drystone.primitives.transaction import Transaction

NOTHING = "0" * 64


@pytest.fixture(scope="module")
def branches() -> Branches:
    return Branches()


@pytest.fixture(scope="module")
def blocks(branches: Branches) -> list[Block]:
    return spending_chain(branches)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, blocks: list[Block]) -> Path:
    """A directory with a chain of 102 blocks. Not to be opened: copy it."""
    folder = tmp_path_factory.mktemp("original") / "kept"
    keep(folder, blocks)
    return folder


@pytest.fixture
def kept(tmp_path: Path, original: Path) -> Path:
    copytree(original, tmp_path / "kept")
    return tmp_path / "kept"


@pytest.fixture
def file(tmp_path: Path, blocks: list[Block]) -> Path:
    path = tmp_path / "blocks.dat"
    path.write_bytes(framed(blocks))
    return path


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """A command that was told to stop ignores further signals, to the end of its process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def chain(*arguments: str | int, kept: Path, **environ: str) -> Outcome:
    """Run `drystone chain` on a directory."""
    return run_main("chain", *arguments, "--datadir", str(kept), cwd=kept.parent, **environ)


def said(*arguments: str | int, kept: Path) -> str:
    """What a command that does well prints."""
    outcome = chain(*arguments, kept=kept)
    assert outcome.status == 0, outcome
    return outcome.out


def told(*arguments: str | int, kept: Path) -> Any:
    """What it prints as JSON: one line."""
    out = said(*arguments, "--json", kept=kept)
    assert out.count("\n") == 1
    return json.loads(out)


def complaint(*arguments: str | int, cwd: Path, **environ: str) -> str:
    """The one line that a mistaken command ends with."""
    outcome = run_main("chain", *arguments, cwd=cwd, **environ)
    assert (outcome.status, outcome.out) == (2, ""), outcome
    lines = [line for line in outcome.err.splitlines() if "; Ctrl-C ends it" not in line]
    assert len(lines) == 1 and lines[0].startswith("drystone"), outcome
    return lines[0]


# Looking.


def test_info_tells_what_stands_at_the_tip(kept: Path, blocks: list[Block]) -> None:
    outcome = chain("info", kept=kept)
    assert outcome.status == 0
    rows = dict(line.split(maxsplit=1) for line in outcome.out.splitlines() if "median" not in line)
    assert (rows["chain"], rows["height"], rows["headers"]) == ("regtest", "102", "102")
    assert rows["tip"] == display(blocks[-1].hash)
    assert (rows["hashes/block"], rows["chainwork"]) == ("2", "ce")
    assert outcome.err == (f"next: `drystone chain block --datadir {kept}` shows the last block\n")


def test_info_for_scripts_has_the_reference_clients_keys(kept: Path, blocks: list[Block]) -> None:
    tip = blocks[-1]
    assert told("info", kept=kept) == {
        "chain": "regtest",
        "blocks": 102,
        "headers": 102,
        "bestblockhash": display(tip.hash),
        "bits": "207fffff",
        "target": f"{0x7FFFFF << 232:064x}",
        "difficulty": 4.6565423739069247e-10,
        "hashes_per_block": 2,
        "time": tip.header.time,
        "mediantime": blocks[-6].header.time,
        "chainwork": f"{2 * 103:064x}",
    }


def test_info_counts_the_coins_and_takes_their_digest(kept: Path) -> None:
    with opened_chain(kept, REGTEST) as opened:
        coins = list(opened.coins.items())
    digest, total = display(coins_digest(coins)), sum(coin.output.value for _, coin in coins)
    found = told("info", "--coins", kept=kept)
    assert (found["txouts"], found["total_sat"], found["muhash"]) == (102, total, digest)
    assert digest in said("info", "--coins", kept=kept)


def test_info_knows_headers_beyond_the_tip_but_not_invalid_ones(
    kept: Path, branches: Branches, blocks: list[Block]
) -> None:
    ahead = branches.grow(blocks[-1], 3)
    with opened_chain(kept, REGTEST) as opened:
        opened.submit_headers([block.header for block in ahead], now=ahead[-1].header.time)
    found = told("info", kept=kept)
    assert (found["blocks"], found["headers"]) == (102, 105)
    said("invalidate", display(ahead[1].hash), kept=kept)
    assert told("info", kept=kept)["headers"] == 103


def test_a_block_is_found_by_height_by_hash_and_at_the_tip(kept: Path, blocks: list[Block]) -> None:
    tenth, last = display(blocks[9].hash), display(blocks[-1].hash)
    assert told("block", 10, kept=kept)["hash"] == tenth
    assert told("block", tenth, kept=kept)["height"] == 10
    assert told("block", kept=kept)["hash"] == last
    assert told("block", 0, kept=kept)["hash"] == display(REGTEST.genesis_hash)


def test_a_block_for_scripts(kept: Path, blocks: list[Block]) -> None:
    last = blocks[-1]
    found = told("block", kept=kept)
    transactions = found.pop("tx")
    assert found == {
        "hash": display(last.hash),
        "height": 102,
        "confirmations": 1,
        "version": 4,
        "merkleroot": display(last.header.merkle_root),
        "time": last.header.time,
        "mediantime": blocks[-6].header.time,
        "nonce": last.header.nonce,
        "bits": "207fffff",
        "difficulty": 4.6565423739069247e-10,
        "chainwork": f"{2 * 103:064x}",
        "nTx": 3,
        "previousblockhash": display(blocks[-2].hash),
        "nextblockhash": None,
        "failure": None,
        "size": last.total_size,
        "strippedsize": last.stripped_size,
        "weight": last.weight,
    }
    assert [tx["fee_sat"] for tx in transactions] == [None, 1000, 2000]
    assert transactions[0]["vin"][0]["coinbase"] == last.coinbase.vin[0].script_sig.hex()
    spent = transactions[1]["vin"][0]
    assert (spent["txid"], spent["vout"]) == (display(blocks[0].coinbase.txid), 0)
    assert spent["prevout"]["value_sat"] == blocks[0].coinbase.vout[0].value
    # What the same block made is known, too.
    assert transactions[2]["vin"][0]["prevout"]["value_sat"] == last.vtx[1].vout[0].value


def test_a_block_for_people(kept: Path, blocks: list[Block]) -> None:
    out = said("block", 102, kept=kept)
    assert f"hash          {display(blocks[-1].hash)}\n" in out
    assert "status        1 confirmation\n" in out
    for tx, fee in zip(blocks[-1].vtx[1:], ("0.00001000", "0.00002000"), strict=True):
        (line,) = [line for line in out.splitlines() if display(tx.txid) in line]
        assert line.startswith("1 > 1 ") and fee in line


def test_a_block_in_hex_is_the_block(kept: Path, blocks: list[Block]) -> None:
    assert said("block", 102, "--hex", kept=kept) == f"{blocks[-1].encode().hex()}\n"


def test_a_block_of_which_only_the_header_is_here(
    kept: Path, branches: Branches, blocks: list[Block]
) -> None:
    ahead = branches.on(blocks[-1])
    with opened_chain(kept, REGTEST) as opened:
        opened.submit_header(ahead.header, now=ahead.header.time)
    block_hash = display(ahead.hash)
    assert "only the header" in said("block", block_hash, kept=kept)
    found = told("block", block_hash, kept=kept)
    assert (found["nTx"], found["confirmations"], "tx" in found) == (0, -1, False)
    line = complaint("block", block_hash, "--hex", "--datadir", str(kept), cwd=kept)
    assert line == f"drystone: of block {block_hash} only the header is here"


def test_a_transaction_is_found_by_its_txid(kept: Path, blocks: list[Block]) -> None:
    tx = blocks[-1].vtx[1]
    found = told("tx", display(tx.txid), kept=kept)
    assert (found["blockhash"], found["height"], found["confirmations"], found["fee_sat"]) == (
        display(blocks[-1].hash),
        102,
        1,
        1000,
    )
    assert Transaction.from_bytes(bytes.fromhex(found["hex"])) == tx
    assert said("tx", display(tx.txid), "--hex", kept=kept) == f"{tx.encode().hex()}\n"
    out = said("tx", display(tx.txid), kept=kept)
    assert "fee            0.00001000" in out
    assert f"{display(tx.txid)}:0" in out and display(blocks[0].coinbase.txid) in out


def test_a_coinbase_has_no_fee(kept: Path, blocks: list[Block]) -> None:
    txid = display(blocks[0].coinbase.txid)
    assert "fee            none: a coinbase" in said("tx", txid, kept=kept)
    assert "newly made" in said("tx", txid, kept=kept)
    assert told("tx", txid, kept=kept)["fee_sat"] is None


# Branches.


def test_tips_have_the_reference_clients_statuses(
    kept: Path, branches: Branches, blocks: list[Block]
) -> None:
    bad = branches.on(blocks[-1], coinbase=branches.coinbase(103, fees=1))
    side = branches.grow(blocks[49], 2)
    ahead = branches.on(blocks[-1])
    with opened_chain(kept, REGTEST) as opened:
        opened.submit_all(map(Arrival, [bad, *side]), now=ahead.header.time)
        opened.submit_header(ahead.header, now=ahead.header.time)
    found = told("tips", kept=kept)
    assert {tip["status"]: (tip["height"], tip["branchlen"], tip["hash"]) for tip in found} == {
        "active": (102, 0, display(blocks[-1].hash)),
        "invalid": (103, 1, display(bad.hash)),
        "headers-only": (103, 1, display(ahead.hash)),
        "valid-headers": (52, 2, display(side[-1].hash)),
    }
    out = said("tips", kept=kept)
    assert all(tip["hash"] in out and tip["status"] in out for tip in found)
    assert "status        not in the chain: bad-cb-amount" in said(
        "block", display(bad.hash), kept=kept
    )


def test_a_block_is_left_and_taken_back(kept: Path, blocks: list[Block]) -> None:
    hundredth = display(blocks[99].hash)
    assert said("invalidate", 100, kept=kept) == (
        f"blocks left: 3, taken: 0\ntip: 99  {display(blocks[98].hash)}\n"
    )
    assert told("block", hundredth, kept=kept)["failure"] == "invalidated-by-hand"
    assert told("block", display(blocks[-1].hash), kept=kept)["failure"] == "bad-prevblk"
    assert said("reconsider", hundredth, kept=kept) == (
        f"blocks left: 0, taken: 3\ntip: 102  {display(blocks[-1].hash)}\n"
    )
    assert said("reconsider", hundredth, kept=kept).startswith("the chain stays as it was\n")


def test_a_block_of_the_same_work_can_be_preferred(
    kept: Path, branches: Branches, blocks: list[Block]
) -> None:
    twin = branches.on(blocks[-2])
    with opened_chain(kept, REGTEST) as opened:
        opened.submit(twin, now=twin.header.time)
    assert tip_of(kept) == (102, blocks[-1].hash)
    said("precious", display(twin.hash), kept=kept)
    assert tip_of(kept) == (102, twin.hash)


# Mistakes.


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("block", "103"), "drystone: no block 103: the chain ends at 102"),
        (("block", NOTHING), f"drystone: no block {NOTHING} here: `drystone chain tips` lists"),
        (("block", "x"), "drystone: 'x' is not a height or a block's hash: a hash has 64 hex"),
        (("block", "1" * 63), "drystone: '11"),
        (("tx", "12"), "drystone: '12' is not a txid: a hash has 64 hex digits"),
        (("tx", NOTHING), f"drystone: no transaction {NOTHING} in the chain's 103 blocks"),
        (("invalidate", "0"), "drystone: genesis can't be invalidated"),
        (("invalidate",), "drystone chain invalidate: Missing argument 'HASH|HEIGHT'."),
        (("export", "out.dat", "--to", 103), "drystone: no blocks 0 to 103: the chain ends at 102"),
        (("export", "out.dat", "--from", 9, "--to", 8), "drystone: no blocks 9 to 8: "),
        (("export", "no/such/folder"), "drystone: can't write no/such/folder: No such file or dir"),
        (("export", "."), "drystone chain export: Invalid value for 'FILE': "),
        (("import", "no.dat"), "drystone chain import: Invalid value for 'FILE...': File 'no.dat'"),
        (("import", "."), "drystone chain import: Invalid value for 'FILE...': "),
        (("info", "--chain", "local"), "drystone: no chain local in "),
        (("info", "--chain", "nope"), "drystone: no chain 'nope': there are mainnet, testnet4, "),
        (("info", "--chain", "no.toml"), "drystone: can't read the chain file no.toml: No such"),
        (("nothing",), "drystone chain: No such command 'nothing'."),
    ],
)
def test_a_mistake_is_one_line(kept: Path, arguments: tuple[str | int, ...], wanted: str) -> None:
    line = complaint(*arguments, cwd=kept.parent, DRYSTONE_DATADIR=str(kept))
    assert line.startswith(wanted)
    assert tip_of(kept)[0] == 102


@pytest.mark.parametrize("name", ["info", "tips", "block", "verify", "reindex", "export"])
def test_a_directory_without_a_chain(tmp_path: Path, name: str) -> None:
    file = ("out.dat",) if name == "export" else ()
    line = complaint(name, *file, "--datadir", "no where", cwd=tmp_path)
    assert line == (
        "drystone: no chain in no where: `drystone mine --datadir 'no where'` begins one, and a"
        " chain of your own wants --chain FILE"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = complaint("info", "--datadir", "file", cwd=tmp_path)
    assert "Directory 'file' is a file." in line
    assert "can't look into" in complaint("info", "--datadir", "x" * 300, cwd=tmp_path)


def test_several_chains_in_one_directory_want_one_to_be_chosen(kept: Path) -> None:
    with opened_chain(kept, LOCAL):
        pass
    line = complaint("info", "--datadir", str(kept), cwd=kept)
    assert line == (f"drystone: several chains in {kept}: choose with --chain, of regtest, local")
    outcome = chain("info", "--chain", "local", "--json", kept=kept)
    assert json.loads(outcome.out)["blocks"] == 119
    next_line = chain("info", "--chain", "local", kept=kept).err
    assert f"`drystone chain block --chain local --datadir {kept}`" in next_line


def test_a_directory_that_another_process_has_open(kept: Path) -> None:
    with opened_chain(kept, REGTEST):
        line = complaint("info", "--datadir", str(kept), cwd=kept)
    assert " is in use by process " in line and "choose another --datadir" in line


def test_the_reference_clients_own_directory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "regtest" / "blocks" / "index").mkdir(parents=True)
    (tmp_path / "regtest" / "blocks" / "blk00000.dat").write_bytes(b"")
    line = complaint("reindex", "--datadir", str(tmp_path), cwd=tmp_path)
    assert "is not drystone's" in line and "drystone chain import" in line


def test_a_home_that_nobody_knows(tmp_path: Path) -> None:
    with patch.object(Path, "expanduser", side_effect=RuntimeError):
        line = complaint("info", cwd=tmp_path)
    assert line == (
        "drystone: no home directory for ~/.drystone: name one with --datadir or DRYSTONE_DATADIR"
    )


def test_the_directory_is_found_by_its_variable(kept: Path) -> None:
    outcome = run_main("chain", "info", cwd=kept, DRYSTONE_DATADIR=str(kept))
    assert outcome.status == 0
    assert outcome.err == "next: `drystone chain block` shows the last block\n"


# Files.


def test_what_is_exported_can_be_imported_elsewhere(tmp_path: Path, kept: Path) -> None:
    path, elsewhere = tmp_path / "out.dat", tmp_path / "elsewhere"
    outcome = chain("export", str(path), kept=kept)
    assert (outcome.status, outcome.out) == (0, "")
    assert outcome.err == (
        f"drystone chain export: regtest in {kept} to {path}; Ctrl-C ends it\n"
        "blocks written: 103; there before: 0\n"
        f"next: `drystone chain import {path} --datadir DIR` takes them in elsewhere\n"
    )
    outcome = chain("import", str(path), kept=elsewhere)
    assert outcome.status == 0
    assert outcome.out.splitlines()[1:] == [
        "known: 1, refused: 0, without those below: 0",
        f"tip: 102  {display(tip_of(kept)[1])}",
    ]
    assert told("info", "--coins", kept=elsewhere) == told("info", "--coins", kept=kept)


def test_an_export_is_the_reference_clients_framing(
    tmp_path: Path, kept: Path, blocks: list[Block]
) -> None:
    said("export", str(tmp_path / "out.dat"), kept=kept)
    assert (tmp_path / "out.dat").read_bytes() == framed([REGTEST.genesis, *blocks])


def test_an_export_grows_with_the_chain_and_mends_a_cut_end(
    tmp_path: Path, kept: Path, branches: Branches, blocks: list[Block]
) -> None:
    path = tmp_path / "out.dat"
    said("export", str(path), "--to", 50, kept=kept)
    assert path.read_bytes() == framed([REGTEST.genesis, *blocks[:50]])
    path.write_bytes(path.read_bytes() + framed([blocks[50]])[:-10])
    outcome = chain("export", str(path), kept=kept)
    assert "blocks written: 52; there before: 51\n" in outcome.err
    assert path.read_bytes() == framed([REGTEST.genesis, *blocks])
    outcome = chain("export", str(path), kept=kept)
    assert "blocks written: 0; there before: 103\n" in outcome.err
    assert path.read_bytes() == framed([REGTEST.genesis, *blocks])


def test_an_export_of_some_heights(tmp_path: Path, kept: Path, blocks: list[Block]) -> None:
    said("export", str(tmp_path / "out.dat"), "--from", 10, "--to", 12, kept=kept)
    assert (tmp_path / "out.dat").read_bytes() == framed(blocks[9:12])


@pytest.mark.parametrize("content", [b"my thesis", framed([LOCAL.genesis])])
def test_an_export_leaves_alone_what_is_something_else(
    tmp_path: Path, kept: Path, content: bytes
) -> None:
    path = tmp_path / "out.dat"
    path.write_bytes(content)
    line = complaint("export", str(path), "--datadir", str(kept), cwd=tmp_path)
    assert "holds something else than blocks 0 to 102 of this chain" in line
    assert path.read_bytes() == content


def test_a_dash_is_standard_output_and_input(
    tmp_path: Path, kept: Path, blocks: list[Block]
) -> None:
    done = subprocess.run(
        command("chain", "export", "-", "--datadir", str(kept)),
        env=environment(),
        capture_output=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert done.stdout == framed([REGTEST.genesis, *blocks])
    elsewhere = tmp_path / "elsewhere"
    taken = subprocess.run(
        command("chain", "import", "-", "--chain", "regtest", "--datadir", str(elsewhere)),
        input=done.stdout,
        env=environment(),
        capture_output=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert b"blocks taken in: 102, with 104 transactions" in taken.stdout
    assert tip_of(elsewhere) == (102, blocks[-1].hash)


def test_an_import_for_scripts(tmp_path: Path, file: Path, blocks: list[Block]) -> None:
    found = told("import", str(file), kept=tmp_path / "new")
    assert found.pop("seconds") >= 0
    assert found == {
        "chain": "regtest",
        "new": 102,
        "known": 0,
        "refused": 0,
        "orphans": 0,
        "transactions": 104,
        "blocks": 102,
        "bestblockhash": display(blocks[-1].hash),
        "complete": True,
    }
    assert told("import", str(file), kept=tmp_path / "new")["known"] == 102


def test_an_import_finds_out_the_chain_by_the_files_magic(tmp_path: Path, file: Path) -> None:
    kept = tmp_path / "new"
    assert told("import", str(file), kept=kept)["chain"] == "regtest"
    assert [path.name for path in kept.iterdir()] == ["regtest"]


def test_a_file_of_another_chain_is_told_before_anything_is_begun(
    tmp_path: Path, file: Path
) -> None:
    line = complaint("import", str(file), "--chain", "local", "--datadir", "new", cwd=tmp_path)
    assert line == f"drystone: {file} is of regtest, not of local: choose one --chain"
    other = tmp_path / "other.dat"
    other.write_bytes(framed([LOCAL.genesis], LOCAL.magic))
    line = complaint("import", str(file), str(other), "--datadir", "new", cwd=tmp_path)
    assert line == f"drystone: {other} is of local, not of regtest: choose one --chain"
    assert not (tmp_path / "new").exists()


def test_a_file_that_is_empty_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "empty.dat").touch()
    line = complaint("import", "empty.dat", "--datadir", "new", cwd=tmp_path)
    assert line == ("drystone: empty.dat is empty: name another file, or its chain with --chain")
    assert not (tmp_path / "new").exists()


def test_a_file_that_begins_like_no_chain_wants_it_to_be_named(tmp_path: Path) -> None:
    (tmp_path / "junk.dat").write_bytes(b"junk of any kind")
    line = complaint("import", "junk.dat", "--datadir", "new", cwd=tmp_path)
    assert line.startswith("drystone: junk.dat begins with no known chain's magic: name its chain")
    assert "xor.dat" in line
    assert not (tmp_path / "new").exists()
    outcome = run_main(
        "chain", "import", "junk.dat", "--chain", "regtest", "--datadir", "new", cwd=tmp_path
    )
    assert outcome.status == 1
    assert "junk.dat has no block of this chain" in outcome.err


def test_a_pipe_wants_the_chain_to_be_named(tmp_path: Path) -> None:
    done = subprocess.run(
        command("chain", "import", "-", "--datadir", str(tmp_path / "new")),
        input=b"",
        env=environment(),
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == b"drystone: /dev/stdin is a pipe: name the chain with --chain\n"


def test_files_of_the_reference_client_are_read_through_their_key(
    tmp_path: Path, blocks: list[Block]
) -> None:
    key = bytes(range(100, 108))
    (tmp_path / "xor.dat").write_bytes(key)
    (tmp_path / "blk00000.dat").write_bytes(xored(framed(blocks) + bytes(1000), key))
    found = told("import", str(tmp_path / "blk00000.dat"), kept=tmp_path / "new")
    assert (found["chain"], found["new"]) == ("regtest", 102)
    (tmp_path / "xor.dat").write_bytes(b"short")
    line = complaint("import", "blk00000.dat", "--datadir", "new", cwd=tmp_path)
    assert "xor.dat has 5 bytes instead of 8" in line


def test_files_may_come_in_any_order(tmp_path: Path, blocks: list[Block]) -> None:
    (tmp_path / "a").write_bytes(framed(blocks[:60]))
    (tmp_path / "b").write_bytes(framed(blocks[60:]))
    found = told("import", str(tmp_path / "b"), str(tmp_path / "a"), kept=tmp_path / "new")
    assert (found["new"], found["orphans"], found["blocks"]) == (102, 0, 102)


def test_blocks_that_lack_those_below_them_are_told_with_the_way_out(
    tmp_path: Path, blocks: list[Block]
) -> None:
    (tmp_path / "b").write_bytes(framed(blocks[60:]))
    outcome = chain("import", str(tmp_path / "b"), kept=tmp_path / "new")
    assert outcome.status == 1
    assert "without those below: 42" in outcome.out
    assert "next: import once more, with the files that have the blocks below those" in outcome.err


def test_a_refused_block_and_rubbish_are_told_and_the_rest_is_taken(
    tmp_path: Path, branches: Branches, blocks: list[Block]
) -> None:
    bad = branches.on(blocks[-1], coinbase=branches.coinbase(103, fees=1))
    path = tmp_path / "mixed.dat"
    path.write_bytes(framed(blocks[:50]) + b"rubbish" + framed([*blocks[50:], bad]))
    outcome = chain("import", str(path), kept=tmp_path / "new")
    assert outcome.status == 1
    assert "mixed.dat at offset" in outcome.err and "7 bytes passed over, no record" in outcome.err
    assert f"mixed.dat block {display(bad.hash)}: bad-cb-amount" in outcome.err
    assert "known: 0, refused: 1, without those below: 0" in outcome.out
    assert tip_of(tmp_path / "new") == (102, blocks[-1].hash)


def test_only_the_first_complaints_are_told(tmp_path: Path, blocks: list[Block]) -> None:
    path = tmp_path / "mixed.dat"
    path.write_bytes(b"".join(b"?" + framed([block]) for block in blocks))
    outcome = chain("import", str(path), "--chain", "regtest", kept=tmp_path / "new")
    assert outcome.status == 0
    assert outcome.err.count("bytes passed over") == 10
    assert "mixed.dat: and 92 more like these" in outcome.err


def test_scripts_can_be_assumed_to_be_valid_up_to_a_block(
    tmp_path: Path, branches: Branches
) -> None:
    never = branches.on(
        branches.genesis, coinbase=branches.coinbase(1, script_pubkey=b"\x00")
    )  # nobody can spend it
    grown = branches.grow(never, 100)
    outpoint, coin = first_coin(never.coinbase, 1)
    thief = branches.on(grown[-1], [payment(outpoint, coin.output.value)])
    (tmp_path / "f").write_bytes(framed([never, *grown, thief]))

    def height(*options: str) -> int:
        name = str(tmp_path / f"new{len(list(tmp_path.iterdir()))}")
        outcome = run_main(
            "chain", "import", "f", "--json", "--datadir", name, *options, cwd=tmp_path
        )
        found = json.loads(outcome.out)
        assert outcome.status == (0 if found["blocks"] == 102 else 1)
        return int(found["blocks"])

    assert height() == 101
    assert height("--assume-valid", "all") == 102
    assert height("--assume-valid", display(thief.hash)) == 102
    assert height("--assume-valid", display(grown[-1].hash)) == 101
    line = complaint("import", "f", "--assume-valid", NOTHING, "--datadir", "y", cwd=tmp_path)
    assert line == f"drystone: --assume-valid {NOTHING}: no such block, here or in the files"
    line = complaint("import", "f", "--assume-valid", "12", "--datadir", "x", cwd=tmp_path)
    assert line.startswith("drystone: --assume-valid 12: give a block's hash of 64 hex digits")


# Checking and mending.


def test_a_good_chain_is_verified(kept: Path, blocks: list[Block]) -> None:
    outcome = chain("verify", kept=kept)
    assert (outcome.status, outcome.err) == (
        0,
        f"drystone chain verify: regtest in {kept}; Ctrl-C ends it\n",
    )
    digest = told("info", "--coins", kept=kept)["muhash"]
    assert outcome.out == (
        "verified: 102 of 102 blocks, 104 transactions, 102 coins\n"
        "all is well\n"
        f"coins digest  {digest}\n"
    )
    assert told("verify", kept=kept) == {
        "blocks": 102,
        "of": 102,
        "transactions": 104,
        "side_blocks": 0,
        "coins": 102,
        "muhash": digest,
        "problems": [],
        "complete": True,
    }


def test_a_damaged_block_is_found_and_reindexing_goes_on_with_what_is_left(
    kept: Path, blocks: list[Block]
) -> None:
    path = kept / "regtest" / "blocks" / "blk00000.dat"
    data = bytearray(path.read_bytes())
    data[data.index(blocks[40].encode()) + 120] ^= 1
    path.write_bytes(data)
    outcome = chain("verify", kept=kept)
    assert outcome.status == 1
    problem, *verdict = outcome.out.splitlines()
    assert problem.startswith(f"at height 41, block {display(blocks[40].hash)} is damaged: ")
    assert verdict == [
        "verified: 40 of 102 blocks, 40 transactions, 0 coins",
        "problems: 1, see above",
    ]
    assert f"next: `drystone chain reindex --datadir {kept}` makes all but" in outcome.err
    found = json.loads(chain("verify", "--json", kept=kept).out)
    assert (found["blocks"], found["complete"], len(found["problems"])) == (40, True, 1)

    outcome = chain("reindex", kept=kept)
    assert (outcome.status, outcome.out) == (0, f"tip: 40  {display(blocks[39].hash)}\n")
    assert "note: 61 blocks are left aside, since blocks below them are missing\n" in outcome.err
    assert chain("verify", kept=kept).status == 0


def test_reindexing_makes_the_same_of_the_same_blocks(kept: Path) -> None:
    before = told("info", "--coins", kept=kept)
    (kept / "regtest" / "blocks" / "index.dat").write_bytes(b"rubbish")
    line = complaint("info", "--datadir", str(kept), cwd=kept)
    assert f"drystone chain reindex --chain regtest --datadir {kept}" in line
    outcome = chain("reindex", kept=kept)
    assert outcome.status == 0
    assert outcome.err == (
        f"drystone chain reindex: regtest in {kept}; Ctrl-C ends it\n"
        f"next: `drystone chain info --datadir {kept}` tells more\n"
    )
    assert told("info", "--coins", kept=kept) == before


def test_what_was_mended_while_opening_is_told(kept: Path) -> None:
    with (kept / "regtest" / "blocks" / "index.dat").open("ab") as journal:
        journal.write(b"cut")
    outcome = chain("info", "--json", kept=kept)
    assert outcome.status == 0
    assert outcome.err.startswith("note: ") and "dropped the last 3 bytes" in outcome.err
    assert chain("info", "--json", kept=kept).err == ""


# Ctrl-C.


def interrupting(function: Callable[..., Any], at: int) -> Callable[..., Any]:
    """The same function, but at its so many-th call somebody presses Ctrl-C, twice."""
    calls = 0

    def call(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return function(*arguments, **named)

    return call


def test_ctrl_c_ends_an_import_and_the_next_goes_on(
    tmp_path: Path, file: Path, blocks: list[Block]
) -> None:
    kept = tmp_path / "new"
    with (
        patch("drystone.chain.importing.BATCH_BLOCKS", 16),
        patch.object(ChainState, "submit_all", interrupting(ChainState.submit_all, 2)),
    ):
        outcome = chain("import", str(file), kept=kept)
    assert outcome.status == 130
    assert outcome.err.endswith("stopped: start it again, and it goes on\n")
    assert "passed over" not in outcome.err  # that the rest was not read is no complaint
    height, _ = tip_of(kept)
    assert height == 32
    assert f"tip: {height}  " in outcome.out
    found = told("import", str(file), kept=kept)
    assert (found["known"], found["new"]) == (height, 102 - height)
    assert tip_of(kept) == (102, blocks[-1].hash)


def test_ctrl_c_ends_an_export_and_the_next_goes_on(
    tmp_path: Path, kept: Path, blocks: list[Block]
) -> None:
    path = tmp_path / "out.dat"
    with patch("drystone.cli.chain_files.frame", interrupting(frame, 20)):
        outcome = chain("export", str(path), kept=kept)
    assert (outcome.status, outcome.out) == (130, "")
    assert outcome.err.endswith(
        "blocks written: 20; there before: 0\n"
        "stopped before block 20: start it again, and it goes on\n"
    )
    assert path.read_bytes() == framed([REGTEST.genesis, *blocks[:19]])
    assert "blocks written: 83; there before: 20" in chain("export", str(path), kept=kept).err
    assert path.read_bytes() == framed([REGTEST.genesis, *blocks])


def test_ctrl_c_ends_a_verification(kept: Path) -> None:
    def stored_block() -> Callable[..., Any]:
        return interrupting(ChainState.stored_block, 30)

    with patch.object(ChainState, "stored_block", stored_block()):
        outcome = chain("verify", kept=kept)
    assert (outcome.status, outcome.out) == (
        130,
        "verified: 30 of 102 blocks, 30 transactions, 0 coins\nstopped before the end\n",
    )
    with patch.object(ChainState, "stored_block", stored_block()):
        outcome = chain("verify", "--json", kept=kept)
    found = json.loads(outcome.out)
    assert (found["blocks"], found["complete"], found["problems"]) == (30, False, [])


def test_ctrl_c_ends_a_reindexing_and_the_next_command_does_it_anew(
    kept: Path, blocks: list[Block]
) -> None:
    with (
        patch("drystone.chain.importing.BATCH_BLOCKS", 16),
        patch.object(ChainState, "submit_all", interrupting(ChainState.submit_all, 2)),
    ):
        outcome = chain("reindex", kept=kept)
    assert (outcome.status, outcome.out) == (130, "")
    assert outcome.err.splitlines()[1:] == [
        "stopped while opening: nothing is lost, and the next command does what is left"
    ]
    assert told("info", kept=kept)["bestblockhash"] == display(blocks[-1].hash)
    assert chain("verify", kept=kept).status == 0


def test_ctrl_c_ends_a_search_for_a_transaction(kept: Path) -> None:
    with patch.object(ChainState, "stored_block", interrupting(ChainState.stored_block, 30)):
        outcome = chain("tx", NOTHING, kept=kept)
    assert (outcome.status, outcome.out, outcome.err) == (130, "", "\n")
    assert tip_of(kept)[0] == 102


def test_ctrl_c_while_closing_changes_nothing_any_more(tmp_path: Path, file: Path) -> None:
    kept = tmp_path / "new"
    with patch.object(ChainState, "close", interrupting(ChainState.close, 1)):
        outcome = chain("import", str(file), kept=kept)
    assert outcome.status == 0
    assert outcome.err.endswith(f"next: `drystone chain info --datadir {kept}` tells more\n")
    assert chain("verify", kept=kept).status == 0


def test_an_import_from_a_pipe_that_nothing_comes_from_can_be_ended(
    tmp_path: Path, blocks: list[Block]
) -> None:
    kept = tmp_path / "new"
    with subprocess.Popen(
        command("chain", "import", "-", "--chain", "regtest", "--datadir", str(kept)),
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(framed(blocks[:80]) + framed([blocks[80]])[:50])
        process.stdin.flush()
        assert process.stderr.readline().startswith(b"drystone chain import: regtest in ")
        unread = array.array("i", [1])
        while unread[0]:
            fcntl.ioctl(process.stdin, termios.FIONREAD, unread)
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130
        assert process.stderr.read() == b"stopped: start it again, and it goes on\n"
    assert 0 < tip_of(kept)[0] <= 80  # it is taken in by pieces


# Pipes and terminals.


def test_whoever_has_read_enough_ends_it_without_a_word(kept: Path) -> None:
    for arguments in (("block", "--hex"), ("export", "-")):
        with subprocess.Popen(
            command("chain", *arguments, "--datadir", str(kept)),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout and process.stderr
            process.stdout.close()
            said = process.stderr.read()
            assert process.wait(PATIENCE_S) == 1
            assert b"Traceback" not in said and said.count(b"\n") <= 1
    assert tip_of(kept)[0] == 102


@pytest.mark.parametrize(
    ("arguments", "closed"),
    [(("tips",), ">&-"), (("verify",), "2>&-"), (("block", "5"), ">&- 2>&-")],
)
def test_outputs_that_were_closed_are_not_missed(
    kept: Path, arguments: tuple[str, ...], closed: str
) -> None:
    line = shlex.join(command("chain", *arguments, "--datadir", str(kept)))
    done = subprocess.run(
        ["/bin/sh", "-c", f"{line} {closed}"],
        env=environment(),
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0 and b"Traceback" not in done.stderr


def test_a_full_disk_under_the_output_is_one_line(kept: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command("chain", "info", "--datadir", str(kept)),
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=PATIENCE_S,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == b"drystone: can't write the output: No space left on device\n"


@pytest.mark.parametrize(
    "arguments", [("info",), ("tips",), ("block",), ("tx", "TXID"), ("verify",)]
)
def test_80_columns_are_enough_and_no_hash_is_cut(
    kept: Path, blocks: list[Block], arguments: tuple[str, ...]
) -> None:
    txid = display(blocks[-1].vtx[1].txid)
    words = [txid if word == "TXID" else word for word in arguments]
    with Terminal(
        "chain", *words, cwd=kept, ports=(), columns=80, env={"DRYSTONE_DATADIR": str(kept)}
    ) as terminal:
        assert terminal.wait() == 0
        hashes = re.findall(r"[0-9a-f]{64}", terminal.text)
        assert hashes
        # A line that is too long goes on in the next row: none does, hence no row is full but by
        # what ends there.
        printed = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.raw).splitlines()
        long = [
            line for line in printed if len(line.rstrip()) > 80 and "Ctrl-C ends it" not in line
        ]
        assert long == []


def test_a_table_that_is_too_wide_gives_its_last_column_lines_of_its_own() -> None:
    headings, rows = ("height", "amount", "hash"), [("1", "0.5", "a" * 64), ("20", "10.25", "")]
    assert list(table_lines(headings, rows, None)) == [
        "height  amount  hash",
        f"1          0.5  {'a' * 64}",
        "20       10.25",
    ]
    assert list(table_lines(headings, rows, 80)) == list(table_lines(headings, rows, None))
    assert list(table_lines(headings, rows, 79)) == [
        "height  amount",
        "    hash",
        "1          0.5",
        f"    {'a' * 64}",
        "20       10.25",
    ]
    assert list(table_lines(headings, [], 79)) == ["height  amount  hash"]


def test_markup_in_what_is_shown_is_only_text() -> None:
    assert list(table_lines(("a", "b"), [("[red]x[/red]", "[bold]")], None))[1] == (
        "[red]x[/red]  [bold]"
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (-3, "-3 s"),
        (119, "119 s"),
        (120, "2 minutes"),
        (7_199, "120 minutes"),
        (7_200, "2 hours"),
        (28_409_703, "329 days"),
    ],
)
def test_a_span_is_told_in_a_unit_that_fits(seconds: int, words: str) -> None:
    assert span(seconds) == words


def test_an_amount_has_all_eight_places() -> None:
    assert [amount(n) for n in (0, 1, 5_000_000_000, 2_100_000_000_000_000)] == [
        "0.00000000",
        "0.00000001",
        "50.00000000",
        "21,000,000.00000000",
    ]


# Help.


def test_help_lists_the_commands_without_importing_any(tmp_path: Path) -> None:
    script = (
        "import sys; from drystone.cli.main import drystone;"
        " from drystone.cli.chain import chain;"
        " drystone.main(['--help'], standalone_mode=False);"
        " chain.main(['--help'], standalone_mode=False);"
        " print([m for m in sys.modules if m.startswith('drystone.') and 'cli' not in m])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE_S,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "['drystone.core', 'drystone.core.errors']"


def test_looking_at_a_chain_needs_no_rich_where_nobody_watches(kept: Path) -> None:
    script = (
        "import sys\n"
        f"sys.argv = ['drystone', 'chain', 'info', '--json', '--datadir', {str(kept)!r}]\n"
        "from drystone.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: print('rich' in sys.modules, 'rocksdict' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE_S,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "False True"


@pytest.mark.parametrize(
    "name",
    [
        *("info", "block", "tx", "tips", "import", "export", "verify", "reindex"),
        *("invalidate", "reconsider", "precious"),
    ],
)
def test_every_command_has_help_that_fits_and_a_line_in_the_groups(
    tmp_path: Path, name: str
) -> None:
    group = run_main("chain", "--help", cwd=tmp_path).out
    assert re.search(rf"^  {name} +[A-Z][^.]+\.$", group, re.MULTILINE)
    outcome = run_main("chain", name, "-h", cwd=tmp_path)
    assert outcome.status == 0
    assert outcome.out.startswith(f"Usage: drystone chain {name} ")
    assert "--datadir" in outcome.out and "DRYSTONE_DATADIR" in outcome.out
    assert "\b" not in outcome.out and max(map(len, outcome.out.splitlines())) <= 96
