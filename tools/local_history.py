"""Mine the history of `local` anew: `make history`.

    python tools/local_history.py

It comes out the same, byte for byte, as long as templates do; a test compares it. When it changes,
nodes of old and new versions no longer agree, HISTORY_SHA256 changes with it, and docs/chains.md
names another tip.
"""

import sys
from hashlib import sha256
from pathlib import Path

from drystone.drivers.history import HISTORY_FILE
from drystone.mining.history import encode_history, mine_history
from drystone.primitives.hashes import display

FILE = Path(__file__).parents[1] / "src" / "drystone" / "drivers" / HISTORY_FILE


def main() -> int:
    """Write the file and say whether it changed."""
    blocks = list(mine_history())
    data = encode_history(blocks)
    is_new = not FILE.is_file() or FILE.read_bytes() != data
    FILE.write_bytes(data)
    change = "changed" if is_new else "as before"
    print(f"{FILE.name}: {len(blocks)} blocks, {len(data)} bytes, {change}")
    print(f"tip {display(blocks[-1].hash)}")
    print(f"SHA-256 {sha256(data).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
