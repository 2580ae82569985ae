"""The chains that everybody knows, and drystone's own.

Values of the public chains are the reference client's, of version 30; its minimum chain work and
the like move with each release and are no rules.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from drystone.consensus.params import (
    ALWAYS_ACTIVE,
    NEVER_ACTIVE,
    NO_TIMEOUT,
    BlockAt,
    Deployment,
    Params,
    ScriptFlagException,
)
from drystone.crypto.address import AddressPrefixes
from drystone.primitives.amount import COIN
from drystone.primitives.block import Block, BlockHeader
from drystone.primitives.codec import var_bytes
from drystone.primitives.hashes import NULL_HASH, BlockHash, from_display, sha256d
from drystone.primitives.script import encode_number, op_return, p2pk, push, push_int
from drystone.primitives.transaction import NULL_OUTPOINT, Transaction, TxIn, TxOut

TWO_WEEKS_S: Final = 14 * 24 * 60 * 60
TEN_MINUTES_S: Final = 10 * 60

_THE_TIMES = b"The Times 03/Jan/2009 Chancellor on brink of second bailout for banks"
_SATOSHIS_KEY = bytes.fromhex(
    "04678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb6"
    "49f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5f"
)


def genesis_block(
    *,
    time: int,
    nonce: int,
    bits: int,
    message: bytes = _THE_TIMES,
    script_pubkey: bytes = p2pk(_SATOSHIS_KEY),
) -> Block:
    """Block 0, whose only transaction has a headline in it. Core: CreateGenesisBlock.

    message: at most 91 bytes, so that the coinbase's script is at most 100. Nobody can spend the
    50 coins: they never were among the coins.
    """
    script_sig = push_int(0x1D00FFFF) + push(encode_number(4)) + push(message)
    coinbase = Transaction(
        version=1,
        vin=(TxIn(NULL_OUTPOINT, script_sig),),
        vout=(TxOut(50 * COIN, script_pubkey),),
    )
    header = BlockHeader(
        version=1,
        prev_hash=BlockHash(NULL_HASH),
        merkle_root=coinbase.txid,
        time=time,
        bits=bits,
        nonce=nonce,
    )
    return Block(header, (coinbase,))


def _block_hash(shown: str) -> BlockHash:
    return BlockHash(from_display(shown))


# By version bits: taproot, and the deployment that tests are made with.


def _taproot(threshold: int, period: int) -> Deployment:
    return Deployment("taproot", 2, ALWAYS_ACTIVE, NO_TIMEOUT, 0, threshold, period)


def _testdummy(start_time: int, threshold: int, period: int) -> Deployment:
    return Deployment("testdummy", 28, start_time, NO_TIMEOUT, 0, threshold, period)


MAINNET: Final = Params(
    name="mainnet",
    genesis=genesis_block(time=1231006505, nonce=2083236893, bits=0x1D00FFFF),
    magic=bytes.fromhex("f9beb4d9"),
    port=8333,
    rpc_port=8332,
    address=AddressPrefixes(
        key_hash=0,
        script_hash=5,
        secret=128,
        segwit="bc",
        extended_public=bytes.fromhex("0488b21e"),
        extended_secret=bytes.fromhex("0488ade4"),
    ),
    pow_limit=(1 << 224) - 1,
    pow_spacing_s=TEN_MINUTES_S,
    pow_timespan_s=TWO_WEEKS_S,
    minimum_chainwork=0xDEE8E2A309AD8A9820433C68,
    bip34_height=227_931,
    bip34_hash=_block_hash("000000000000024b89b42a942fe0d9fea3bb44ab7bd1b19115dd6a759c0808b8"),
    bip65_height=388_381,
    bip66_height=363_725,
    csv_height=419_328,
    segwit_height=481_824,
    script_flag_exceptions=(
        # Spends a pay-to-script-hash output without a valid script, from before BIP16.
        ScriptFlagException(
            _block_hash("00000000000002dc756eebf4f49723ed8d30cc28a5f108eb94b1ba88ac4f9c22"),
            frozenset(),
        ),
        # Spends a version 1 witness output without a valid signature, from before taproot.
        ScriptFlagException(
            _block_hash("0000000000000000000f14c35b2d841e986ab5441de8c585d5ffe55ea1e395ad"),
            frozenset({"P2SH", "WITNESS"}),
        ),
    ),
    bip30_repeats=(
        BlockAt(
            91_842,
            _block_hash("00000000000a4d0a398161ffc163c503763b1f4360639393e0e4c8e300e0caec"),
        ),
        BlockAt(
            91_880,
            _block_hash("00000000000743f190a18c5577a3c2d2a1f610ae9601ac046a38084ccb7cd721"),
        ),
    ),
    bip30_unspendable=(
        BlockAt(
            91_722,
            _block_hash("00000000000271a2dc26e7667f8419f2e15416dc6955e5a6c6cdf3f2574dd08e"),
        ),
        BlockAt(
            91_812,
            _block_hash("00000000000af0aed4792b1acee3d966af36cf5def14935db8de83d6f9306f2f"),
        ),
    ),
    deployments=(
        _testdummy(NEVER_ACTIVE, threshold=1815, period=2016),
        Deployment("taproot", 2, 1619222400, 1628640000, 709_632, 1815, 2016),
    ),
)

_TEST_PREFIXES = AddressPrefixes(
    key_hash=111,
    script_hash=196,
    secret=239,
    segwit="tb",
    extended_public=bytes.fromhex("043587cf"),
    extended_secret=bytes.fromhex("04358394"),
)

TESTNET4: Final = Params(
    name="testnet4",
    genesis=genesis_block(
        time=1714777860,
        nonce=393743547,
        bits=0x1D00FFFF,
        message=b"03/May/2024 000000000000000000001ebd58c244970b3aa9d783bb001011fbe8ea8e98e00e",
        script_pubkey=p2pk(bytes(33)),
    ),
    magic=bytes.fromhex("1c163f28"),
    port=48333,
    rpc_port=48332,
    address=_TEST_PREFIXES,
    pow_limit=MAINNET.pow_limit,
    pow_spacing_s=TEN_MINUTES_S,
    pow_timespan_s=TWO_WEEKS_S,
    allow_min_difficulty=True,
    enforce_bip94=True,
    minimum_chainwork=0x34A4690FE592DC49C7C,
    deployments=(
        _testdummy(NEVER_ACTIVE, threshold=1512, period=2016),
        _taproot(threshold=1512, period=2016),
    ),
)


def signet(challenge: bytes, name: str = "signet") -> Params:
    """A test chain whose blocks satisfy a script, the challenge (BIP325).

    Its magic follows from the challenge; genesis is the same for all. A chain of your own goes by
    a name of its own.
    """
    return Params(
        name=name,
        genesis=genesis_block(time=1598918400, nonce=52613770, bits=0x1E0377AE),
        magic=sha256d(var_bytes(challenge))[:4],
        port=38333,
        rpc_port=38332,
        address=_TEST_PREFIXES,
        pow_limit=0x377AE << 216,
        pow_spacing_s=TEN_MINUTES_S,
        pow_timespan_s=TWO_WEEKS_S,
        deployments=(
            _testdummy(NEVER_ACTIVE, threshold=1815, period=2016),
            _taproot(threshold=1815, period=2016),
        ),
        signet_challenge=challenge,
    )


SIGNET: Final = replace(
    signet(
        bytes.fromhex(
            "512103ad5e0edad18cb1f0fc0d28a3d4f1f3e445640337489abb10404f2d1e086be430"
            "210359ef5021964fe22d6f8e05b2463c9540ce96883fe3b278760f048f5189f2e6c452ae"
        )
    ),
    minimum_chainwork=0x67D328E681A,
)

REGTEST: Final = Params(
    name="regtest",
    genesis=genesis_block(time=1296688602, nonce=2, bits=0x207FFFFF),
    magic=bytes.fromhex("fabfb5da"),
    port=18444,
    rpc_port=18443,
    address=replace(_TEST_PREFIXES, segwit="bcrt"),
    pow_limit=(1 << 255) - 1,
    pow_spacing_s=TEN_MINUTES_S,
    pow_timespan_s=24 * 60 * 60,
    allow_min_difficulty=True,
    no_retargeting=True,
    halving_interval=150,
    segwit_height=0,
    deployments=(
        _testdummy(0, threshold=108, period=144),
        _taproot(threshold=108, period=144),
    ),
)

LOCAL: Final = Params(
    name="local",
    genesis=genesis_block(
        time=1767225600,  # 2026-01-01T00:00:00Z
        nonce=15_659,  # the lowest that is enough
        bits=0x1F00FFFF,  # 65,537 hashes on average, the tutorial's difficulty
        message=b"drystone 01/Jan/2026 a wall without mortar stands by the weight of its stones",
        script_pubkey=op_return(b""),
    ),
    magic=bytes.fromhex("e4d2f9ce"),
    port=27333,
    rpc_port=27332,
    # Base58 begins with s (keys), w (scripts), W (secrets); Bech32 with dry1.
    address=AddressPrefixes(
        key_hash=125,
        script_hash=135,
        secret=201,
        segwit="dry",
        extended_public=bytes.fromhex("02fda925"),  # dpub
        extended_secret=bytes.fromhex("02fda4ea"),  # dprv
    ),
    pow_limit=REGTEST.pow_limit,
    # Measured over 19 intervals of 20, so that at a constant hash rate blocks come every 200/18 =
    # 11.1 s: see `pow.py`.
    pow_spacing_s=10,
    pow_timespan_s=200,
    halving_interval=2_100,  # a hundredth of mainnet's: six and a half hours
    deployments=(
        _testdummy(NEVER_ACTIVE, threshold=15, period=20),
        _taproot(threshold=15, period=20),
    ),
)

CHAINS: Final[Mapping[str, Params]] = {
    params.name: params for params in (MAINNET, TESTNET4, SIGNET, REGTEST, LOCAL)
}

_HEIGHT_FIELDS: Final = {
    "segwit": "segwit_height",
    "bip34": "bip34_height",
    "dersig": "bip66_height",
    "cltv": "bip65_height",
    "csv": "csv_height",
}


def variant(
    params: Params,
    name: str,
    *,
    activation_heights: Mapping[str, int] | None = None,
    **changes: Any,
) -> Params:
    """A chain that differs from another, and goes by a name of its own.

    activation_heights: by the names of the reference client's `-testactivationheight`, which are
    bip34, dersig, cltv, csv and segwit. changes: other fields of Params. The magic stays unless
    it is changed too. Raises ValueError.
    """
    if name in CHAINS or name == params.name:
        raise ValueError(f"a changed chain wants a name of its own, not {name!r}")
    for deployment, height in (activation_heights or {}).items():
        if deployment not in _HEIGHT_FIELDS:
            known = ", ".join(_HEIGHT_FIELDS)
            raise ValueError(f"activation height of {deployment!r}: known are {known}")
        changes[_HEIGHT_FIELDS[deployment]] = height
    return replace(params, name=name, **changes)
