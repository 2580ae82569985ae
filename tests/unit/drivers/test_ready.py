"""The ready file: whole, gone at the end, and every trouble with it one line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from drystone.core.errors import UserError
from drystone.drivers.ready import MAX_BYTES, Ready, read_ready, ready_file

OURS = Ready(os.getpid(), {"node0": "127.0.0.1:45301", "näher": "[::1]:7"}, Path("/tmp/net.sock"))


def refusal(path: Path, *, write: bool) -> str:
    with pytest.raises(UserError) as refused:
        ready_file(path, OURS).__enter__() if write else read_ready(path)
    line = str(refused.value)
    assert "\n" not in line and str(path) in line
    return line


@pytest.fixture
def ended_pid() -> int:
    """Of a process that has come and gone."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_it_is_there_while_the_network_is_and_says_where(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    with ready_file(path, OURS):
        assert read_ready(path) == OURS
        assert json.loads(path.read_text()) == {
            "pid": os.getpid(),
            "addresses": {"node0": "127.0.0.1:45301", "näher": "[::1]:7"},
            "control": "/tmp/net.sock",
        }
        assert list(tmp_path.iterdir()) == [path]
    assert list(tmp_path.iterdir()) == []


def test_it_is_removed_after_an_error_too(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    with pytest.raises(RuntimeError), ready_file(path, OURS):
        raise RuntimeError
    assert not path.exists()


def test_a_network_that_cannot_be_steered_has_no_control_socket(tmp_path: Path) -> None:
    with ready_file(tmp_path / "ready", Ready(os.getpid(), {})):
        assert read_ready(tmp_path / "ready").control is None


def test_what_has_taken_its_place_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    with ready_file(path, OURS):
        path.write_text("mine now")
    assert path.read_text() == "mine now"


def test_it_may_be_removed_meanwhile_with_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with ready_file(folder / "ready.json", OURS):
        (folder / "ready.json").unlink()
        folder.rmdir()


def test_what_a_killed_process_left_behind_is_replaced(tmp_path: Path, ended_pid: int) -> None:
    path = tmp_path / "ready.json"
    path.write_bytes(Ready(ended_pid, {}).encode())
    with ready_file(path, OURS):
        assert read_ready(path) == OURS


def test_that_of_a_process_that_still_runs_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    path.write_bytes(Ready(os.getppid(), {}).encode())
    assert refusal(path, write=True) == (
        f"{path} is that of process {os.getppid()}, which still runs: end it, or choose another"
    )
    assert read_ready(path).pid == os.getppid()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b'{"pid": 1}',
        b'{"pid": "1", "addresses": {}, "control": null}',
        b'{"pid": 0, "addresses": {}, "control": null}',
        b'{"pid": -1, "addresses": {}, "control": null}',
        b'{"pid": 99999999999999999999, "addresses": {}, "control": null}',
        b'{"pid": 1, "addresses": {"a": 1}, "control": null}',
        b'{"pid": 1, "addresses": {}, "control": 1}',
        b'{"pid": 1, "addresses": {}, "control": null}' + b" " * MAX_BYTES,
        b"[" * 100_000,
    ],
)
def test_what_is_no_ready_file_is_neither_read_nor_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    assert refusal(path, write=False) == f"{path} is not a ready file of drystone's"
    assert refusal(path, write=True) == (
        f"{path} is there, and not a ready file of drystone's: choose another name"
    )
    assert path.read_bytes() == content


def test_reading_says_so_if_there_is_none(tmp_path: Path) -> None:
    assert refusal(tmp_path / "ready.json", write=False) == (
        f"no network is ready: there is no file {tmp_path}/ready.json; start one, or name its own"
        " file"
    )


def test_reading_says_so_if_its_process_has_ended(tmp_path: Path, ended_pid: int) -> None:
    path = tmp_path / "ready.json"
    path.write_bytes(Ready(ended_pid, {}).encode())
    assert refusal(path, write=False) == (
        f"process {ended_pid}, which wrote {path}, has ended without removing it: start the"
        " network again"
    )


@pytest.mark.parametrize("write", [True, False])
def test_what_the_system_refuses_is_told_in_one_line(tmp_path: Path, *, write: bool) -> None:
    (tmp_path / "file").write_text("")
    assert ": Not a directory; choose another" in refusal(tmp_path / "file" / "ready", write=write)
    assert ": Is a directory; choose another place" in refusal(tmp_path, write=write)


def test_a_folder_that_is_missing_or_locked_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "missing" / "ready.json"
    assert refusal(path, write=True) == (
        f"can't write the ready file {path}: No such file or directory; choose another place for it"
    )

    def refuse(self: Path, data: bytes) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_bytes", refuse)  # who runs tests as root may write anywhere
    path = tmp_path / "ready.json"
    assert refusal(path, write=True) == (
        f"can't write the ready file {path}: Permission denied; choose another place for it"
    )
    assert list(tmp_path.iterdir()) == []
