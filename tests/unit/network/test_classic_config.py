"""NODE_IP and NODE_PORTS, from the environment or a `.env` file."""

import logging
from pathlib import Path

import pytest

from drystone.core.errors import UserError
from drystone.network.classic.config import Places, read_places


def write_dotenv(folder: Path, text: str) -> None:
    (folder / ".env").write_text(text, encoding="utf-8")


def refusal(folder: Path, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(UserError) as refused:
        read_places(folder, environ or {})
    line = str(refused.value)
    assert "\n" not in line
    return line


def test_nothing_said_means_the_tutorials_ports_on_loopback(tmp_path: Path) -> None:
    assert read_places(tmp_path, {}) == Places("127.0.0.1", (7000, 8000, 9000))


def test_the_environment_says_where_the_nodes_are(tmp_path: Path) -> None:
    environ = {"NODE_IP": "192.168.1.7", "NODE_PORTS": "7001,7002"}
    assert read_places(tmp_path, environ) == Places("192.168.1.7", (7001, 7002))


def test_a_dotenv_says_it_as_in_the_tutorial(tmp_path: Path) -> None:
    write_dotenv(tmp_path, "NODE_IP=192.168.1.7\nNODE_PORTS=7001,7002\nOTHER=1\n")
    assert read_places(tmp_path, {}) == Places("192.168.1.7", (7001, 7002))


def test_a_dotenv_may_have_comments_quotes_and_spaces(tmp_path: Path) -> None:
    write_dotenv(tmp_path, "# places\nexport NODE_IP='10.0.0.1'\nNODE_PORTS = \"1, 2 ,3\"\n\n")
    assert read_places(tmp_path, {}) == Places("10.0.0.1", (1, 2, 3))


def test_the_environment_goes_before_the_dotenv_each_setting_by_itself(tmp_path: Path) -> None:
    write_dotenv(tmp_path, "NODE_IP=10.0.0.1\nNODE_PORTS=1,2\n")
    assert read_places(tmp_path, {"NODE_IP": "10.0.0.2"}) == Places("10.0.0.2", (1, 2))
    assert read_places(tmp_path, {"NODE_PORTS": "3"}) == Places("10.0.0.1", (3,))


def test_the_nearest_dotenv_from_the_folder_upward_counts(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    write_dotenv(tmp_path, "NODE_IP=10.0.0.1\nNODE_PORTS=1,2\n")
    assert read_places(deep, {}).ip_address == "10.0.0.1"
    write_dotenv(tmp_path / "a", "NODE_IP=10.0.0.2\n")
    assert read_places(deep, {}) == Places("10.0.0.2")
    write_dotenv(deep, "")
    assert read_places(deep, {}) == Places()


@pytest.mark.parametrize("text", ["NODE_IP=\nNODE_PORTS=\n", "NODE_IP\nNODE_PORTS\n", ""])
def test_what_is_empty_in_a_dotenv_is_unset(tmp_path: Path, text: str) -> None:
    # The tutorial's command writes `NODE_IP=` on a machine without the interface en0.
    write_dotenv(tmp_path, text)
    assert read_places(tmp_path, {}) == Places()


def test_what_is_empty_in_the_environment_is_unset(tmp_path: Path) -> None:
    assert read_places(tmp_path, {"NODE_IP": "", "NODE_PORTS": ""}) == Places()
    assert read_places(tmp_path, {"NODE_IP": "  ", "NODE_PORTS": " "}) == Places()
    write_dotenv(tmp_path, "NODE_IP=10.0.0.1\n")
    assert read_places(tmp_path, {"NODE_IP": ""}).ip_address == "10.0.0.1"


@pytest.mark.parametrize("text", ["7000,8000", " 7000 , 8000 ", "[7000, 8000]"])
def test_ports_are_numbers_between_commas_in_the_order_given(tmp_path: Path, text: str) -> None:
    assert read_places(tmp_path, {"NODE_PORTS": text}).ports == (7000, 8000)
    assert read_places(tmp_path, {"NODE_PORTS": "9000,7000,65535,1"}).ports == (
        *(9000, 7000),
        *(65535, 1),
    )


@pytest.mark.parametrize(
    "text",
    [
        *("0", "65536", "7000,0", "99999999999999999999", "-7000", "+7000", "7e3", "7000.0"),
        *("7000,,8000", ",7000", "7000,", "7000 8000", "7000;8000", "ports", "0x1b58"),
        *("7000,8000,7000", "7000,07000", "\u0667\u0660\u0660\u0660", "7_000", "[]"),
    ],
)
def test_bad_ports_are_refused_in_one_line_with_an_example(tmp_path: Path, text: str) -> None:
    line = refusal(tmp_path, {"NODE_PORTS": text})
    assert line == (
        f"NODE_PORTS is {text!r}: give different ports from 1 to 65535,"
        " such as NODE_PORTS=7000,8000,9000"
    )


def test_a_dotenv_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    path = tmp_path / ".env"
    assert refusal(tmp_path) == f"can't read {path}: Is a directory; mend it or take it away"


def test_a_dotenv_that_may_not_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dotenv(tmp_path, "NODE_IP=10.0.0.1\n")

    def read_text(self: Path, encoding: str) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", read_text)  # who runs tests as root may read it
    assert refusal(tmp_path).endswith(": Permission denied; mend it or take it away")


def test_a_dotenv_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"NODE_IP=\xff\xfe\n")
    assert refusal(tmp_path).endswith(".env: not a text file; mend it or take it away")


@pytest.mark.parametrize("text", ["NODE_IP='10.0.0.1\n", "NODE_IP=1\n= =\n", 'A="\n'])
def test_a_dotenv_with_a_malformed_line_is_refused_and_says_where(
    tmp_path: Path, text: str
) -> None:
    write_dotenv(tmp_path, text)
    line = refusal(tmp_path)
    assert line.startswith(f"can't read {tmp_path / '.env'}: ")
    assert "line " in line and line.endswith("; mend it or take it away")


def test_what_is_told_of_a_malformed_line_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_dotenv(tmp_path, "= =\n")
    logger = logging.getLogger("dotenv.main")
    before = logger.handlers.copy(), logger.propagate
    refusal(tmp_path)
    assert caplog.records == []
    assert (logger.handlers, logger.propagate) == before


def test_a_folder_above_that_may_not_be_searched_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, below = tmp_path / "closed", tmp_path / "closed" / "below"
    below.mkdir(parents=True)
    write_dotenv(tmp_path, "NODE_IP=10.0.0.1\n")
    exists = Path.exists

    def guarded(self: Path) -> bool:
        if self.parent == closed:
            raise PermissionError(13, "Permission denied")
        return exists(self)

    monkeypatch.setattr(Path, "exists", guarded)  # who runs tests as root may search anything
    assert read_places(below, {}).ip_address == "10.0.0.1"


def test_a_port_of_the_nodes_is_fine_and_any_other_refused() -> None:
    places = Places("127.0.0.1", (7000, 8000))
    places.check_port(8000)
    with pytest.raises(UserError) as refused:
        places.check_port(9000)
    assert str(refused.value) == (
        "port 9000 is not among the nodes' ports (7000, 8000); choose one of them, or name yours"
        " in NODE_PORTS"
    )
