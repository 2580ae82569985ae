"""The root folder's conftest.py notices when an example does not do what its page says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = """
```python
number = 2
```
```pycon
>>> number + 2
4
>>> number + 2
5
```
```console
$ ls nowhere
...nowhere...
$ test $? != 0 && echo 'its status is seen' > file
$ cat file
its status is seen
```
```console
$ ls
file
$ echo one
two
```
```console
$ false
```
```toml
# some.toml
key = 1
```
```console
$ tail -n 1 some.toml
key = 1
```
```sh
false
```
"""


def test_a_wrong_example_fails_and_a_right_one_passes(tmp_path: Path) -> None:
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "README.md").write_text(PAGE)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "README.md").write_text("```python\nnot ours\n```\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    outcomes = re.findall(r"^(PASSED|FAILED) README.md::line:(\d+)", done.stdout, re.MULTILINE)
    verdict = {int(line): outcome == "PASSED" for outcome, line in outcomes}
    assert verdict == {
        2: True,
        6: True,
        8: False,
        11: True,
        18: False,
        24: False,
        27: True,
        31: True,
    }, done.stdout
    assert "$ echo one" in done.stdout and "ended with status 1" in done.stdout
