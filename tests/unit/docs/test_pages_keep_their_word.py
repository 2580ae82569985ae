"""What the README and docs/ name exists, and what they list they list in full.

That their examples do what they say is tested beside them: see conftest.py in the root folder.
"""

import html
import re
import runpy
import shlex
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
import pytest

from drystone.cli.main import drystone

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "src" / "drystone"
README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = pytest.mark.parametrize("page", [README, *DOCS], ids=lambda page: page.name)


def blocks(page: Path, language: str) -> Iterator[str]:
    """The fenced blocks in one language."""
    yield from re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def prose(page: Path) -> str:
    """What is not in a fenced block."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def code_words(page: Path) -> list[str]:
    """What stands between backticks in the prose."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def anchor(heading: str) -> str:
    """A heading's anchor, as mkdocs and GitHub form it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def check_command(line: str) -> None:
    """Parse a command line without running it. Raises click.UsageError."""
    name, *words = shlex.split(line, comments=True)
    command: click.Command = drystone
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        found = command.get_command(click.Context(command), name)
        assert found is not None, f"{line}: no such command"
        command = found
    with suppress(click.exceptions.Exit, click.exceptions.NoArgsIsHelpError):  # both print help
        command.make_context(name, words)


@PAGES
def test_files_and_folders_named_in_backticks_exist(page: Path) -> None:
    named = {word for word in code_words(page) if re.fullmatch(r"[\w./-]*(/|\.py)[\w./-]*", word)}
    named = {word for word in named if not word.startswith("build/")}  # only there once it is made
    places = (ROOT, SOURCE, SOURCE / page.stem)  # kernel.md may say nonces.py
    assert [name for name in sorted(named) if not any((at / name).exists() for at in places)] == []


@PAGES
def test_links_lead_to_a_page_and_its_heading(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", prose(page)):
        path, _, wanted = target.partition("#")
        to = page.parent / path if path else page
        assert to.is_file(), target
        headings = re.findall(r"^#+ (.+)$", prose(to), re.MULTILINE) if wanted else []
        assert not wanted or wanted in map(anchor, headings), target


@PAGES
def test_make_targets_that_are_named_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = re.findall(
        r"^(?:[A-Z_]+=\S* )*make +([a-z]+)", "\n".join(blocks(page, "sh")), re.MULTILINE
    )
    named = [word.split()[1] for word in code_words(page) if re.match(r"make [a-z]", word)]
    assert {*shown, *named} <= targets


@PAGES
def test_commands_that_are_shown_can_be_typed(page: Path) -> None:
    for line in [*"\n".join(blocks(page, "sh")).splitlines(), *code_words(page)]:
        command = re.sub(r"^([A-Z_]+=\S* )*(\.venv/bin/)?", "", line)
        if command.startswith("drystone "):
            check_command(command)


def test_the_readme_maps_every_folder_in_the_order_of_the_import_contract() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (layers,) = (
        contract["layers"]
        for contract in settings["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    )
    order = [word for layer in reversed(layers) for word in re.findall(r"\w+", layer)]
    exist = [name for name in order if (SOURCE / name / "__init__.py").exists()]
    for page in (README, ROOT / "docs" / "architecture.md"):
        mapped = re.findall(r"^\| `(\w+)/` \|", page.read_text(), re.MULTILINE)
        assert mapped == exist


def test_every_dependency_has_its_reason_and_no_other_package_has() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [
        *settings["build-system"]["requires"],
        *settings["project"]["dependencies"],
        *(x for extra in settings["project"]["optional-dependencies"].values() for x in extra),
    ]
    page = (ROOT / "docs" / "dependencies.md").read_text()
    reasons = re.findall(r"^\*\*([\w-]+)\*\*", page, re.MULTILINE)
    assert sorted(reasons) == sorted(re.split(r"[<>=\[;]", name)[0] for name in asked)


def test_every_reason_for_refusing_a_datagram_is_in_the_table() -> None:
    code = "".join(path.read_text() for path in (SOURCE / "classic").glob("*.py"))
    reasons = set(re.findall(r'ClassicInvalid\(\s*"([a-z-]+)"', code))
    table = re.findall(
        r"^\| `([a-z-]+)` \|", (ROOT / "docs" / "classic.md").read_text(), re.MULTILINE
    )
    assert sorted(table) == sorted(reasons)


def test_every_page_is_in_the_navigation() -> None:
    nav = re.findall(r": (\w+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(nav) == [page.name for page in DOCS]


@pytest.mark.parametrize("name", ["live-view.svg", "classic-view.svg"])
def test_the_pictures_are_of_the_views_as_they_are_today(name: str) -> None:
    """`make picture` draws them anew. Words are compared; how rich lays them out is its affair."""
    drawn = runpy.run_path(str(ROOT / "tools" / "picture.py"))["PICTURES"][name]()
    assert words_of((ROOT / "docs" / name).read_text()) == words_of(drawn)
    assert "url(http" not in drawn and "@import" not in drawn


def test_the_pictures_show_what_the_pages_tell() -> None:
    picture = words_of((ROOT / "docs" / "live-view.svg").read_text())
    assert "─✂─" in picture and "╰─" in picture and "they don't agree" in picture
    picture = words_of((ROOT / "docs" / "classic-view.svg").read_text())
    assert "lost its race" in picture and "to a twin: same hash, other reward" in picture


def words_of(svg: str) -> str:
    """Its text, without tags, styles and layout."""
    body = re.sub(r"<style>.*?</style>", "", svg, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", "", body)))
