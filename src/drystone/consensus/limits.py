"""Numbers that every chain shares: how much a block may weigh and cost, and how its times bind.

What differs from chain to chain is in `params`.
"""

from typing import Final

MAX_BLOCK_WEIGHT: Final = 4_000_000  # BIP141
MAX_BLOCK_SIGOPS_COST: Final = 80_000  # BIP141

MIN_COINBASE_SCRIPT_BYTES: Final = 2
MAX_COINBASE_SCRIPT_BYTES: Final = 100

MEDIAN_TIME_SPAN: Final = 11  # blocks over which time is taken (BIP113). Core: nMedianTimeSpan
