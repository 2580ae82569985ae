"""Put bcoin, another full node, into build/bcoin, for tests/interop/test_bcoin.py.

    python tools/install_bcoin.py

npm fetches it, by name and version. Nothing of it is compiled and none of its scripts run: what
would be native has a twin in JavaScript, but for its database, and the tests keep that in memory.
Does nothing if it is there. Exit status 1, and one line, if something is missing.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "bcoin"
PACKAGE = "bcoin@1.0.2"
INSTALLED = FOLDER / "installed"  # says which; written last

NO_DATABASE = """'use strict';
module.exports = function LevelDOWN() { throw new Error('no leveldown here: use memory'); };
"""


def main() -> int:
    """0 if it is there now."""
    if INSTALLED.exists() and INSTALLED.read_text() == PACKAGE:
        return 0
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    if missing:
        print(f"no {' and no '.join(missing)} here: install nodejs and npm (apt has them) first")
        return 1
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    # Ours, lest npm look for one further up.
    (FOLDER / "package.json").write_text('{"private": true}\n')
    quietly = ["--no-audit", "--no-fund", "--loglevel=error"]
    install = ["npm", "install", "--ignore-scripts", *quietly, PACKAGE]
    if subprocess.run(install, cwd=FOLDER, stdin=subprocess.DEVNULL, check=False).returncode:
        print(f"npm could not install {PACKAGE}: its own words are above")
        return 1
    database = FOLDER / "node_modules" / "leveldown" / "leveldown.js"
    database.write_text(NO_DATABASE)
    INSTALLED.write_text(PACKAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
