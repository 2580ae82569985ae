"""docs/rules.md: as the code has it, and leaving nothing out."""

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """tools/rules.py, which is no module of ours but a script."""
    spec = importlib.util.spec_from_file_location("rules_tool", ROOT / "tools" / "rules.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_page_is_as_the_code_has_it(tool: ModuleType) -> None:
    page = "".join(tool.written())
    assert tool.PAGE.read_text() == page, "make it anew with: python tools/rules.py"


def test_every_module_that_rejects_is_on_the_page(tool: ModuleType) -> None:
    listed = {tool.SOURCE / module for section in tool.SECTIONS for module in section.modules}
    for path in (tool.SOURCE / "consensus").rglob("*.py"):
        if path in listed:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                assert ast.unparse(node.exc.func) not in tool.REJECTIONS, path


def test_every_rule_says_in_its_docstring_what_it_raises(tool: ModuleType) -> None:
    for section in tool.SECTIONS:
        for module in section.modules:
            for rule in tool.rules_of(module):
                assert f'{rule.kind}("{rule.reason}")' in rule.docstring, rule.function.name
                assert "Core: " in rule.docstring, rule.function.name


def test_a_rule_without_a_test_is_an_error(tool: ModuleType) -> None:
    with pytest.raises(LookupError, match="no test speaks of"):
        tool.test_of("bad-" + "something-new", tool.home_of("consensus/block.py"))
