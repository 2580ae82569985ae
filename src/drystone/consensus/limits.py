"""How much a block may weigh and cost, and how long a coinbase's script may be, on any chain."""

from typing import Final

MAX_BLOCK_WEIGHT: Final = 4_000_000  # BIP141
MAX_BLOCK_SIGOPS_COST: Final = 80_000  # BIP141

MIN_COINBASE_SCRIPT_BYTES: Final = 2
MAX_COINBASE_SCRIPT_BYTES: Final = 100
