"""What the nodes of one process need to work out only once."""

from typing import Final, Self

from drystone.chain.bases import CoinBases
from drystone.chain.findings import Findings
from drystone.chain.signatures import Signatures
from drystone.consensus.params import Params
from drystone.core.memo import Memo
from drystone.mempool.script_cache import ScriptCache
from drystone.p2p.framing import FrameTable
from drystone.p2p.peer import MessageTable

MOST_WIRE_BYTES: Final = 8_000_000  # of messages, in each table


class Wire:
    """Messages as bytes: tables for connections to share."""

    def __init__(self, params: Params, most_bytes: int = MOST_WIRE_BYTES) -> None:
        self.frames = FrameTable(params.magic, most_bytes)
        self.messages: MessageTable = Memo(most_bytes)


class Sharing:
    """Tables to give to all nodes of one chain in a process, live or in virtual time.

    Whatever is in them is immutable, and is found by all that it depends on, to the byte. So nobody
    can tell a node that shares from one that does not, but by the time it takes. Each table has a
    most, beyond which it forgets. signatures: who can check those of transactions on other cores.
    """

    def __init__(self, params: Params, signatures: Signatures | None = None) -> None:
        self.findings = Findings(params)
        self.coins: CoinBases | None = CoinBases()
        self.scripts: ScriptCache | None = ScriptCache(signatures=signatures)
        self.wire = Wire(params)

    @classmethod
    def none(cls, params: Params) -> Self:
        """Tables that remember nothing; each node has coins and scripts of its own."""
        sharing = cls(params)
        sharing.findings = Findings.none(params)
        sharing.coins = None
        sharing.scripts = None
        sharing.wire = Wire(params, 0)
        return sharing
