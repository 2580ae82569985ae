"""A chain to test the rules on: blocks that are really mined, coins that are really spent."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from drystone.consensus.chains import REGTEST
from drystone.consensus.coins import Coin
from drystone.consensus.connect import BlockChange, verify_block
from drystone.consensus.header import contextual_check_header
from drystone.consensus.locktime import MEDIAN_TIME_SPAN, median_time_past
from drystone.consensus.params import Params
from drystone.consensus.pow import is_proof_of_work, next_bits
from drystone.consensus.subsidy import block_subsidy
from drystone.consensus.witness_commitment import commitment_script
from drystone.primitives.block import Block, BlockHeader
from drystone.primitives.script import push_int
from drystone.primitives.transaction import NULL_OUTPOINT, OutPoint, Transaction, TxIn, TxOut

__all__ = ["REGTEST", "MinedChain", "assembled", "coinbase_at", "solved", "with_commitment"]

ANYONE_CAN_SPEND = b"\x51"
RESERVED_VALUE = bytes(32)
BLOCK_INTERVAL_S = 600


def solved(header: BlockHeader, params: Params) -> BlockHeader:
    """The same header with a nonce that does the work: two hashes on regtest, on average."""
    while not is_proof_of_work(header.hash, header.bits, params.pow_limit):
        header = replace(header, nonce=header.nonce + 1)
    return header


def coinbase_at(
    height: int, value: int, script_pubkey: bytes = ANYONE_CAN_SPEND, *more: TxOut
) -> Transaction:
    """A coinbase of the least that the rules ask for."""
    script_sig = push_int(height) + b"\0"  # at least two bytes
    outputs = (TxOut(value, script_pubkey), *more)
    return Transaction(2, (TxIn(NULL_OUTPOINT, script_sig),), outputs)


def with_commitment(block: Block) -> Block:
    """The same transactions, the coinbase now committing to their witnesses (BIP141)."""
    coinbase = block.coinbase
    root = block.witness_merkle_root()
    commitment = TxOut(0, commitment_script(root, RESERVED_VALUE))
    coinbase = replace(
        coinbase,
        vin=(replace(coinbase.vin[0], witness=(RESERVED_VALUE,)),),
        vout=(*coinbase.vout, commitment),
    )
    return replace(block, vtx=(coinbase, *block.vtx[1:]))


def assembled(block: Block, params: Params) -> Block:
    """The block with the merkle root of its transactions, solved."""
    header = replace(block.header, merkle_root=block.merkle_root()[0], nonce=0)
    return replace(block, header=solved(header, params))


@dataclass
class MinedChain:
    """Blocks from genesis on, each checked by all rules, and the coins that they left."""

    params: Params = REGTEST
    blocks: list[Block] = field(default_factory=list)
    coins: dict[OutPoint, Coin] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.blocks:
            self.blocks.append(self.params.genesis)

    @property
    def height(self) -> int:
        """Of the tip."""
        return len(self.blocks) - 1

    def header_at(self, height: int) -> BlockHeader:
        """As `pow` asks for it."""
        return self.blocks[height].header

    def median_time_at(self, height: int) -> int:
        """As the rules ask for it."""
        assert 0 <= height <= self.height
        last = self.blocks[max(0, height + 1 - MEDIAN_TIME_SPAN) : height + 1]
        return median_time_past([block.header.time for block in last])

    def candidate(
        self,
        transactions: Sequence[Transaction] = (),
        *,
        coinbase: Transaction | None = None,
        time: int | None = None,
        version: int = 4,
    ) -> Block:
        """A block on the tip that commits to its witnesses but has no root and no work yet."""
        tip = self.blocks[-1].header
        height = self.height + 1
        if coinbase is None:
            coinbase = coinbase_at(height, block_subsidy(height, self.params.halving_interval))
        if time is None:
            time = tip.time + BLOCK_INTERVAL_S
        bits = next_bits(self.height, self.header_at, time, self.params)
        header = BlockHeader(version, tip.hash, bytes(32), time, bits, 0)
        return Block(header, (coinbase, *transactions))

    def block(self, transactions: Sequence[Transaction] = (), **other: object) -> Block:
        """A good block on the tip, if its transactions are."""
        candidate = self.candidate(transactions, **other)  # type: ignore[arg-type]
        return assembled(with_commitment(candidate), self.params)

    def verify(self, block: Block) -> BlockChange:
        """What a block would do to the coins. Raises what the rules raise; nothing changes."""
        height = self.height + 1
        contextual_check_header(
            block.header,
            self.blocks[-1].header,
            height=height,
            expected_bits=next_bits(self.height, self.header_at, block.header.time, self.params),
            previous_median_time=self.median_time_at(self.height),
            max_time=block.header.time,
            params=self.params,
        )
        return verify_block(
            block,
            self.coins,
            height=height,
            median_time_at=self.median_time_at,
            params=self.params,
        )

    def connect(self, block: Block) -> BlockChange:
        """Verify a block and take it as the new tip."""
        change = self.verify(block)
        for outpoint in change.spent:
            del self.coins[outpoint]
        self.coins.update(change.created)
        self.blocks.append(block)
        return change

    def mine(self, count: int = 1, transactions: Sequence[Transaction] = ()) -> Block:
        """Connect so many good blocks, the transactions in the first; the last of them."""
        for _ in range(count):
            self.connect(self.block(transactions))
            transactions = ()
        return self.blocks[-1]
