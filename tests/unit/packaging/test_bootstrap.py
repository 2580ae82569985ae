"""tools/bootstrap.sh on all sorts of machines, each a folder of fakes: no real installs."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TOOLS = ("cat", "chmod", "cksum", "cp", "dirname", "ls", "mkdir", "rm", "sh", "tail")
PIP = "-m pip install -qq --disable-pip-version-check --editable "

# Answers what bootstrap.sh asks. What pip is asked goes into pip.log; `touch sick` makes pip fail.
FAKE_PYTHON = """#!/bin/sh
version=3.{minor}.0 modules=' {modules} '
case "$*" in
    -V) echo "Python $version" ;;
    '-c import sys; sys.exit(sys.version_info < (3, 11))') [ {minor} -ge 11 ] ;;
    '-c import venv, '*) case "$modules" in *" ${{2#import venv, }} "*) ;; *) exit 1 ;; esac ;;
    '-c import fcntl; '*) ;;
    '-m venv .venv' | '-m virtualenv -q .venv' | '-m venv --without-pip .venv')
        case "$modules" in *" $2 "*) ;; *) exit 1 ;; esac
        mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    '-m pip --python .venv/bin/python install -qq pip')
        case "$modules" in *' pip '*) echo "$*" >>pip.log ;; *) exit 1 ;; esac ;;
    '-m pip install'*)
        echo "$*" >>pip.log
        if [ -e sick ]; then echo 'ERROR: no network' >&2; exit "$(cat sick)"; fi ;;
    *) echo "what is $*?" >&2; exit 70 ;;
esac
"""


class Machine:
    """A checkout, and a PATH with the bare tools and such Pythons as a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool) or pytest.fail(f"no {tool} here"))
        self.checkout = folder / "a checkout"
        for name in ("tools/bootstrap.sh", "pyproject.toml", "setup.py"):
            (self.checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.checkout / name)
        kernel = self.checkout / "src/drystone/kernel/_native.c"
        kernel.parent.mkdir(parents=True)
        kernel.write_text("int main;")

    def add(self, command: str, minor: int, modules: str = "venv ensurepip") -> None:
        """Put a Python 3.minor there."""
        self.script(command, FAKE_PYTHON.format(minor=minor, modules=modules))

    def script(self, command: str, text: str) -> None:
        """Put any command there."""
        (self.bin / command).write_text(text)
        (self.bin / command).chmod(0o755)

    def bootstrap(self, what: str = "run", **environment: str) -> tuple[int, list[str]]:
        """Run the script; return its status and the lines it printed."""
        done = subprocess.run(
            [self.bin / "sh", "tools/bootstrap.sh", what],
            cwd=self.checkout,
            env={"PATH": str(self.bin), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=30,
            check=False,
        )
        return done.returncode, done.stdout.splitlines()

    def installs(self) -> list[str]:
        """Return what pip was asked to install since the last time."""
        log = self.checkout / "pip.log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [line.removeprefix(PIP) for line in lines]

    def venv_version(self) -> str:
        """Ask the Python in .venv."""
        return subprocess.check_output(
            [self.checkout / ".venv/bin/python", "-V"], env={"PATH": str(self.bin)}, text=True
        ).strip()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def installed(machine: Machine) -> Machine:
    """One that is set up; .venv/leftover shows whether its .venv is still that one."""
    machine.add("python3", 11)
    assert machine.bootstrap()[0] == 0
    assert machine.installs() == ["."]
    (machine.checkout / ".venv/leftover").touch()
    return machine


def is_the_same_venv(machine: Machine) -> bool:
    return (machine.checkout / ".venv/leftover").exists()


def test_the_first_run_says_in_one_line_what_it_does(machine: Machine) -> None:
    machine.add("python3", 12)
    status, lines = machine.bootstrap()
    assert status == 0
    assert lines == ["drystone: installing into .venv with Python 3.12.0, once, about 20 s"]
    assert machine.installs() == ["."]


def test_the_second_run_does_nothing_and_says_nothing(installed: Machine) -> None:
    assert installed.bootstrap() == (0, [])
    assert installed.installs() == []


@pytest.mark.parametrize(
    ("what", "extras"), [("test", "[test]"), ("docs", "[docs]"), ("lint", "[lint,test,docs]")]
)
def test_each_purpose_installs_its_extras_and_serves_a_plain_run_too(
    machine: Machine, what: str, extras: str
) -> None:
    machine.add("python3", 11)
    assert machine.bootstrap(what)[0] == 0
    assert machine.bootstrap("run") == (0, [])
    assert machine.installs() == [f".{extras}"]


def test_a_plain_install_does_not_serve_the_tests(installed: Machine) -> None:
    assert installed.bootstrap("test")[0] == 0
    assert installed.installs() == [".[test]"]
    assert is_the_same_venv(installed)


@pytest.mark.parametrize("name", ["pyproject.toml", "setup.py", "src/drystone/kernel/_native.c"])
def test_a_change_to_what_is_installed_installs_again(installed: Machine, name: str) -> None:
    with (installed.checkout / name).open("a") as file:
        file.write("\n")
    assert installed.bootstrap()[0] == 0
    assert installed.installs() == ["."]
    assert is_the_same_venv(installed)


def test_a_compiler_that_arrives_later_is_put_to_use(installed: Machine) -> None:
    installed.script("cc", "#!/bin/sh\n")
    assert installed.bootstrap()[0] == 0
    assert installed.installs() == ["."]


def test_a_compiler_that_goes_does_not_cost_the_kernel_it_built(machine: Machine) -> None:
    machine.add("python3", 11)
    machine.script("cc", "#!/bin/sh\n")
    (machine.checkout / "src/drystone/kernel/_native.abi3.so").touch()
    assert machine.bootstrap()[0] == 0
    (machine.bin / "cc").unlink()
    assert machine.bootstrap() == (0, [])


def test_a_touched_file_alone_installs_nothing(installed: Machine) -> None:
    os.utime(installed.checkout / "pyproject.toml", (0, 0))
    assert installed.bootstrap() == (0, [])


def test_a_python_that_is_too_old_is_passed_over(machine: Machine) -> None:
    machine.add("python3", 10)
    machine.add("python3.12", 12)
    assert machine.bootstrap()[0] == 0
    assert machine.venv_version() == "Python 3.12.0"


def test_a_command_that_only_complains_is_passed_over(machine: Machine) -> None:
    machine.script("python3", "#!/bin/sh\necho 'pyenv: python3: command not found' >&2; exit 127\n")
    machine.add("python3.11", 11)
    status, lines = machine.bootstrap()
    assert (status, len(lines)) == (0, 1)
    assert machine.venv_version() == "Python 3.11.0"


def test_a_complete_python_is_preferred_to_one_without_ensurepip(machine: Machine) -> None:
    machine.add("python3", 13, modules="venv pip")
    machine.add("python3.11", 11)
    assert machine.bootstrap()[0] == 0
    assert machine.venv_version() == "Python 3.11.0"


def test_without_a_python_that_is_new_enough_one_line_says_so(machine: Machine) -> None:
    machine.add("python3", 10)
    status, lines = machine.bootstrap()
    assert status == 1
    assert lines == [
        (
            "drystone: needs Python 3.11 or later; "
            "tried python3 python3.14 python3.13 python3.12 python3.11; "
            "name yours as in: make up PYTHON=/path/to/python3"
        )
    ]


def test_the_python_that_is_asked_for_is_the_one(machine: Machine) -> None:
    machine.add("python3", 11)
    machine.add("mine", 13)
    assert machine.bootstrap(PYTHON="mine")[0] == 0
    assert machine.venv_version() == "Python 3.13.0"
    assert machine.bootstrap() == (0, [])  # good enough for whoever asks for none


def test_asking_for_another_python_makes_the_environment_anew(installed: Machine) -> None:
    installed.add("mine", 13)
    assert installed.bootstrap(PYTHON="mine")[0] == 0
    assert installed.venv_version() == "Python 3.13.0"
    assert not is_the_same_venv(installed)


def test_an_unusable_python_that_is_asked_for_is_not_replaced_by_another(
    installed: Machine,
) -> None:
    installed.add("old", 9)
    for asked_for in ("old", "absent"):
        status, lines = installed.bootstrap(PYTHON=asked_for)
        assert (status, len(lines)) == (1, 1)
        assert f"tried {asked_for};" in lines[0]
    assert is_the_same_venv(installed)


@pytest.mark.parametrize("modules", ["venv pip", "venv virtualenv", "virtualenv"])
def test_without_ensurepip_a_pip_or_a_virtualenv_on_the_host_will_do(
    machine: Machine, modules: str
) -> None:
    machine.add("python3", 11, modules)
    status, lines = machine.bootstrap()
    assert (status, len(lines)) == (0, 1)
    assert machine.installs()[-1] == "."
    assert machine.bootstrap() == (0, [])


def test_without_any_of_them_one_line_names_the_cure_and_nothing_is_left(machine: Machine) -> None:
    machine.add("python3", 11, modules="venv")
    status, lines = machine.bootstrap()
    assert status == 1
    assert lines[1:] == [
        (
            "drystone: python3 cannot make a virtual environment; "
            "on Debian or Ubuntu `apt install python3-venv` mends that"
        )
    ]
    assert not (machine.checkout / ".venv").exists()


def test_a_venv_that_fails_says_why_in_one_line(machine: Machine) -> None:
    machine.add("python3", 11)
    (machine.bin / "mkdir").unlink()
    machine.script("mkdir", "#!/bin/sh\necho 'No space left on device' >&2; exit 1\n")
    status, lines = machine.bootstrap()
    assert status == 1
    assert lines[1:] == ["drystone: could not make .venv: No space left on device"]


def vanish(machine: Machine) -> None:
    (machine.checkout / ".venv/bin/python").unlink()
    (machine.checkout / ".venv/bin/python").symlink_to("/nonexistent/python3.11")


def upgrade(machine: Machine) -> None:
    """Let the python3 that .venv points to become another minor version."""
    text = FAKE_PYTHON.format(minor=12, modules="venv ensurepip")
    (machine.checkout / ".venv/bin/python").write_text(text)


def move(machine: Machine) -> None:
    machine.checkout = machine.checkout.rename(machine.checkout.with_name("elsewhere"))


def copy(machine: Machine) -> None:
    target = machine.checkout.with_name("copy")
    shutil.copytree(machine.checkout, target)
    machine.checkout = target


def interrupt(machine: Machine) -> None:
    """Kill pip the way a Ctrl-C or a power cut does: nobody gets to tidy up."""
    (machine.checkout / "sick").write_text("137")
    (machine.checkout / "setup.py").write_text("")
    assert machine.bootstrap()[0] == 1
    (machine.checkout / "sick").unlink()
    machine.installs()


def half_make(machine: Machine) -> None:
    """Leave .venv as a `python -m venv` that was stopped leaves it."""
    (machine.checkout / ".venv/made").unlink()


@pytest.mark.parametrize("harm", [vanish, upgrade, move, copy, interrupt, half_make])
def test_an_environment_that_cannot_be_trusted_is_made_anew(
    installed: Machine, harm: Callable[[Machine], None]
) -> None:
    harm(installed)
    assert installed.bootstrap()[0] == 0
    assert installed.installs() == ["."]
    assert not is_the_same_venv(installed)
    assert installed.bootstrap() == (0, [])


def test_when_pip_fails_its_words_and_ours_are_shown_and_the_next_run_tries_again(
    installed: Machine,
) -> None:
    (installed.checkout / "sick").write_text("1")
    (installed.checkout / "setup.py").write_text("")
    status, lines = installed.bootstrap()
    assert status == 1
    assert lines[1:] == [
        "ERROR: no network",
        (
            "drystone: pip could not install what drystone needs: its own words are above "
            "(is the network reachable?)"
        ),
    ]
    (installed.checkout / "sick").unlink()
    assert installed.bootstrap()[0] == 0
    assert is_the_same_venv(installed)
