"""Good inputs for the fuzzer to begin with, since it finds no signature or checksum by itself."""

from collections.abc import Iterable, Mapping

from tests.fuzz.fuzz_targets import COME_OR_GO, PASS, RAW, NodeScript
from tests.support.blocks import MinedChain
from tests.support.branches import Branches
from tests.support.spending import KEYS, LOCKS, SECRET, spend

from drystone.consensus.chains import MAINNET, REGTEST
from drystone.consensus.coins import Coin
from drystone.crypto import base58
from drystone.crypto.address import address_from_script, wif_from_secret
from drystone.mempool.dump import Dump, Saved
from drystone.p2p.compact import compact_block
from drystone.p2p.framing import V1Transport
from drystone.p2p.messages import (
    MESSAGES,
    Addr,
    AddrV2,
    BlockMessage,
    BlockTxn,
    GetBlockTxn,
    GetData,
    GetHeaders,
    Headers,
    Inv,
    Inventory,
    Message,
    PeerAddress,
    TxMessage,
    Version,
)
from drystone.p2p.netaddress import NetAddress, Network
from drystone.p2p.protocol import MSG_BLOCK, MSG_WTX
from drystone.primitives.block import Block, BlockLocator
from drystone.primitives.merkleblock import PartialMerkleTree
from drystone.primitives.opcodes import Op
from drystone.primitives.script import P2A, multisig, op_return, p2wpkh, push
from drystone.primitives.transaction import OutPoint, Transaction, TxOut


def _interpreter(
    shape: int, script: bytes, script_sig: bytes = b"", witness: Iterable[bytes] = ()
) -> bytes:
    elements = list(witness)
    return b"".join(
        (
            bytes((shape,)) + b"\xff" * 8 + bytes(6),
            bytes((len(script_sig),)) + script_sig,
            bytes((len(elements),)) + b"".join(bytes((len(e),)) + e for e in elements),
            script,
        )
    )


def _scripts() -> list[bytes]:
    """One for each opcode, on a few numbers; a few of more than one."""
    numbers = bytes(range(Op.OP_1, Op.OP_4 + 1))
    one_each = [
        numbers + bytes((opcode, Op.OP_DEPTH))
        for opcode in range(Op.OP_1NEGATE, Op.OP_CHECKSIGADD + 2)
    ]
    return [
        *one_each,
        bytes((Op.OP_1, Op.OP_IF, Op.OP_1, Op.OP_ELSE, Op.OP_0, Op.OP_ENDIF)),
        multisig(2, KEYS),
        *(lock.script_pubkey for lock in LOCKS),
    ]


def _messages(blocks: list[Block]) -> list[Message]:
    """One of each kind that has more than a few bytes."""
    block = blocks[-1]
    locator = BlockLocator((REGTEST.genesis_hash,))
    address = PeerAddress(1_700_000_000, 9, NetAddress(Network.IPV4, b"\x01\x02\x03\x04", 8333))
    onion = PeerAddress(1_700_000_000, 9, NetAddress(Network.TORV3, bytes(range(32)), 8333))
    return [
        Version(time=1_700_000_000, services=9, user_agent=b"/drystone:0.1.0/", start_height=7),
        Inv((Inventory(MSG_WTX, bytes(32)), Inventory(MSG_BLOCK, bytes(32)))),
        GetHeaders(locator),
        Headers(tuple(one.header for one in blocks)),
        BlockMessage(block),
        TxMessage(block.vtx[-1]),
        Addr((address, address)),
        AddrV2((address, onion)),
        compact_block(block, nonce=7),
        GetBlockTxn(block.hash, (1, 2)),
        BlockTxn(block.hash, block.vtx[1:]),
    ]


def _framed(message: Message, peer: int = 0) -> tuple[int, bytes]:
    """A step of a node's script: a peer says a message."""
    command = sorted(MESSAGES).index(message.command)
    return peer, bytes((command,)) + message.encode()


def _node_scripts() -> list[bytes]:
    """A block that comes in each way, a branch, a transaction, and every message once."""
    branches = Branches()
    chain = branches.grow(branches.genesis, 3)
    branch = branches.grow(chain[1], 3)
    (block,) = branches.grow(chain[-1], 1)
    pause, resume, leave, wait = (
        (4 * COME_OR_GO, b"\1"),
        (4 * COME_OR_GO, b"\2"),
        (4 * COME_OR_GO, b"\3"),
        (4 * PASS, b"\xff\1"),
    )
    inv = Inv((Inventory(MSG_BLOCK, block.hash), Inventory(MSG_WTX, bytes(32))))
    wanted = GetData((Inventory(MSG_BLOCK, chain[0].hash), Inventory(4, chain[-1].hash)))
    tx = block.coinbase
    scripts: list[list[tuple[int, bytes]]] = [
        [_framed(Headers((block.header,))), _framed(BlockMessage(block)), _framed(wanted, 1)],
        [_framed(compact_block(block, nonce=7)), _framed(compact_block(block, nonce=8), 1)],
        [_framed(inv), wait, _framed(TxMessage(tx)), _framed(BlockMessage(block), 2)],
        [_framed(BlockMessage(one)) for one in branch],
        [_framed(Headers(tuple([one.header for one in branch]))), leave, wait],
        [pause, _framed(wanted), _framed(wanted), resume, wait],
        [_framed(message, n % 4) for n, message in enumerate(_messages([*chain, block]))],
        [(4 * RAW, V1Transport(REGTEST.magic).frame("ping", bytes(8)))] * 2,
    ]
    return [NodeScript(tuple(steps)).encode() for steps in scripts]


def seeds() -> Mapping[str, list[bytes]]:
    """By target."""
    chain = MinedChain()
    chain.mine(101)
    coin = next(item for item in chain.coins.items() if item[1].height == 1)
    outputs = [TxOut(1000, lock.script_pubkey) for lock in LOCKS]
    source = spend([coin], LOCKS[:1], outputs)
    coins = [
        (OutPoint(source.txid, n), Coin(output, 102, is_coinbase=False))
        for n, output in enumerate(outputs)
    ]
    payment = spend(coins, LOCKS, outputs[:1])
    blocks = [chain.params.genesis, chain.mine(), chain.block([source, payment])]
    transactions = [source, payment, Transaction(2, (), ()), *(block.coinbase for block in blocks)]
    txids = [bytes((n,)) * 32 for n in range(7)]
    tree = PartialMerkleTree.from_leaves(txids, [n % 3 == 0 for n in range(7)])
    scripts = [*_scripts(), op_return(b"data"), P2A, p2wpkh(bytes(20)), push(bytes(300))]
    texts = [
        *(address_from_script(s, p.address) for s in scripts for p in (MAINNET, REGTEST)),
        wif_from_secret(SECRET, MAINNET.address),
    ]
    hash_types = (0, 1, 2, 3, 0x81, 0x82, 0x83)
    signatures = [b"\x30\x06\x02\x01\x01\x02\x01\x01" + bytes((t,)) for t in hash_types]
    schnorr = [bytes(63) + b"\1" + bytes((t,)) * (t > 0) for t in hash_types]
    return {
        "transaction": [tx.encode() for tx in transactions],
        "block": [block.encode() for block in blocks],
        "message_parts": [tree.encode(), BlockLocator((REGTEST.genesis_hash,)).encode()],
        "mempool": [
            *(tx.encode() for tx in transactions),
            source.encode() + payment.encode(),
            Dump((Saved(source, 1, 2), Saved(payment, 3, 4))).encode(None),
        ],
        "message": [
            bytes((sorted(MESSAGES).index(one.command),)) + one.encode()
            for one in _messages(blocks)
        ]
        + [V1Transport(REGTEST.magic).frame("ping", bytes(8))],
        "node": _node_scripts(),
        "script": scripts,
        "address": [b"\0" + text.encode() for text in texts if text]
        + [b"\1" + base58.decode(text, 40)[:-4] for text in texts if text and text[0] in "13LK"]
        + [b"\2\0" + bytes(32), b"\3\1" + bytes(52)],
        "interpreter": [
            *(_interpreter(shape, script) for script in scripts for shape in range(7)),
            *(
                _interpreter(
                    shape, multisig(1, KEYS[:2]), b"\0" + push(signature), (b"", signature)
                )
                for shape in range(4)
                for signature in signatures
            ),
            *(_interpreter(6, KEYS[0], b"", (signature,)) for signature in signatures),
            *(_interpreter(5, b"\1" + KEYS[0][1:], b"", (signature,)) for signature in schnorr),
            *(
                _interpreter(4, push(KEYS[0][1:]) + bytes((opcode,)), b"", (signature,))
                for opcode in (Op.OP_CHECKSIG, Op.OP_CHECKSIGVERIFY, Op.OP_CHECKSIGADD)
                for signature in schnorr
            ),
        ],
    }
