"""What `make fast` compiles. It compares traces itself; here is what can be seen at once."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_modules_to_be_compiled_are_there() -> None:
    tree = ast.parse((ROOT / "setup.py").read_text())
    (value,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COMPILED"
    ]
    compiled: dict[str, str] = ast.literal_eval(value)
    paths = [
        ROOT / "src/drystone" / folder / f"{name}.py"
        for folder, names in compiled.items()
        for name in names.split()
    ]
    assert len(paths) == len(set(paths)) > 40
    assert [path for path in paths if not path.is_file()] == []
