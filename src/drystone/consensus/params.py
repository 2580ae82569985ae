"""What makes one chain differ from another: a frozen value, passed to whoever needs it.

The chains that everybody knows are in `chains.py`; `chainfile.py` reads others from TOML.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from drystone.crypto.address import AddressPrefixes
from drystone.primitives.block import Block
from drystone.primitives.hashes import BlockHash

COINBASE_MATURITY: Final = 100  # blocks; Core: COINBASE_MATURITY
MAX_FUTURE_BLOCK_TIME_S: Final = 2 * 60 * 60  # ahead of our clock; Core: MAX_FUTURE_BLOCK_TIME
MAX_TIMEWARP_S: Final = 600  # back across a period's border (BIP94); Core: MAX_TIMEWARP


class BlockAt(NamedTuple):
    """One particular block: where it is and which."""

    height: int
    hash: BlockHash


class ScriptFlagException(NamedTuple):
    """A block in the chain's history whose scripts break rules that came later.

    flags: names of `consensus.script.flags.Flags`, to verify with instead of those that are
    always on; flags by height still come on top. Core: script_flag_exceptions.
    """

    block_hash: BlockHash
    flags: frozenset[str]


class Deployment(NamedTuple):
    """A rule that miners activate by a bit of the block version (BIP9). Core: BIP9Deployment.

    It is locked in by a period in which at least threshold blocks have the bit set.
    """

    name: str
    bit: int  # 0 to 28
    start_time: int  # unix seconds, compared with the median time past; or one of the two below
    timeout: int  # unix seconds, or NO_TIMEOUT
    min_activation_height: int
    threshold: int  # blocks
    period: int  # blocks


ALWAYS_ACTIVE: Final = -1  # as a start time
NEVER_ACTIVE: Final = -2  # as a start time
NO_TIMEOUT: Final = 2**63 - 1


@dataclass(frozen=True)
class Params:
    """A chain. Core: CChainParams and Consensus::Params."""

    name: str
    genesis: Block
    magic: bytes  # the four bytes that begin every message
    port: int
    rpc_port: int
    address: AddressPrefixes

    # Proof of work: `pow.py`.
    pow_limit: int  # the highest target, as a number
    pow_spacing_s: int  # between blocks, as aimed at
    pow_timespan_s: int  # from one retarget to the next
    allow_min_difficulty: bool = False  # after 20 minutes without a block
    enforce_bip94: bool = False  # retarget from the period's first block, refuse timewarps
    no_retargeting: bool = False
    pow_assumed: bool = False  # hashes need not meet their target: only ever in simulations
    minimum_chainwork: int = 0  # a chain with less is not the real one

    # Coins.
    halving_interval: int = 210_000  # blocks
    coinbase_maturity: int = COINBASE_MATURITY  # blocks until a coinbase may be spent

    # Rules that came in time, and the first block that had to obey. P2SH, witness and taproot
    # have been found to hold from genesis on, with a few exceptions.
    bip34_height: int = 1  # the coinbase begins with the height
    bip34_hash: BlockHash | None = None  # of the block there; from it on no coinbase can recur
    bip65_height: int = 1  # CHECKLOCKTIMEVERIFY
    bip66_height: int = 1  # strict DER
    csv_height: int = 1  # BIP68, BIP112, BIP113
    segwit_height: int = 1  # BIP141, BIP143, BIP147
    script_flag_exceptions: tuple[ScriptFlagException, ...] = ()
    bip30_repeats: tuple[BlockAt, ...] = ()  # whose coinbase overwrote an older one's outputs
    bip30_unspendable: tuple[BlockAt, ...] = ()  # whose coinbase was overwritten so
    deployments: tuple[Deployment, ...] = ()  # by version bits: `deployments.py`
    signet_challenge: bytes | None = None  # the script that blocks must satisfy (BIP325)

    @property
    def genesis_hash(self) -> BlockHash:
        """The hash of block 0."""
        return self.genesis.hash

    @property
    def retarget_interval(self) -> int:
        """Blocks from one retarget to the next. Core: DifficultyAdjustmentInterval."""
        return self.pow_timespan_s // self.pow_spacing_s
