"""Chains of your own, from the text of a TOML file into the same `Params` as any other.

`docs/chains.md` shows a whole file and explains each key. Every mistake ends in one sentence: which
key, what was found, what is wanted.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from drystone.consensus.chains import CHAINS, REGTEST, genesis_block
from drystone.consensus.params import (
    ALWAYS_ACTIVE,
    COINBASE_MATURITY,
    NEVER_ACTIVE,
    NO_TIMEOUT,
    Deployment,
    Params,
)
from drystone.consensus.pow import bits_from_target, block_work, is_proof_of_work, target_from_bits
from drystone.core.tables import BOOLEAN, Kind, Table, TableMistake, text, toml_document, whole
from drystone.crypto.address import AddressPrefixes
from drystone.primitives.block import Block
from drystone.primitives.hashes import display, sha256d
from drystone.primitives.script import op_return

MAX_SEARCH: Final = 1 << 20  # expected hashes; beyond, a file must give its genesis nonce

_MAX_U32 = 0xFFFFFFFF
_MAX_HEIGHT = 0x7FFFFFFF
_MAX_MESSAGE_BYTES = 91  # more would not fit a coinbase's script


class ChainFileError(TableMistake):
    """A chain file that describes no chain: one sentence that says what to mend."""


def read_chain(text: str) -> Params:
    """The chain that a TOML text describes. Raises ChainFileError.

    A genesis block without nonce is searched for, if that takes no more than a moment.
    """
    document = toml_document(text, ChainFileError)
    tables = "address coins difficulty heights signet genesis deployment"
    root = Table(
        document,
        "",
        f"name pow magic port rpc_port minimum_chainwork {tables}",
        ChainFileError,
    )
    pow_assumed = root.get("pow", _POW, default=False)
    difficulty = _read_difficulty(
        root.table(
            "difficulty",
            "limit_bits spacing_s timespan_s retargeting allow_min_difficulty enforce_bip94",
        )
    )
    coins = root.table("coins", "halving_interval maturity")
    heights = root.table("heights", "bip34 bip65 bip66 csv segwit")
    genesis = root.table("genesis", "time message script bits nonce hash")
    port, rpc_port = root.need("port", _PORT), root.need("rpc_port", _PORT)
    if port == rpc_port:
        raise root.error("rpc_port", rpc_port, "another port than port")
    return Params(
        name=root.need("name", _NAME),
        genesis=_read_genesis(genesis, difficulty.pow_limit, pow_assumed=pow_assumed),
        magic=root.need("magic", _MAGIC),
        port=port,
        rpc_port=rpc_port,
        address=_read_prefixes(
            root.table(
                "address", "key_hash script_hash secret segwit extended_public extended_secret"
            )
        ),
        pow_assumed=pow_assumed,
        minimum_chainwork=root.get("minimum_chainwork", _NUMBER_IN_HEX, default=0),
        halving_interval=coins.get("halving_interval", whole(1, _MAX_HEIGHT), default=210_000),
        coinbase_maturity=coins.get("maturity", _HEIGHT, default=COINBASE_MATURITY),
        bip34_height=heights.get("bip34", _HEIGHT, default=1),
        bip65_height=heights.get("bip65", _HEIGHT, default=1),
        bip66_height=heights.get("bip66", _HEIGHT, default=1),
        csv_height=heights.get("csv", _HEIGHT, default=1),
        segwit_height=heights.get("segwit", _HEIGHT, default=1),
        deployments=_read_deployments(root),
        signet_challenge=root.table("signet", "challenge").get("challenge", _SCRIPT, default=None),
        **difficulty._asdict(),
    )


class _Difficulty(NamedTuple):
    pow_limit: int
    pow_spacing_s: int
    pow_timespan_s: int
    no_retargeting: bool
    allow_min_difficulty: bool
    enforce_bip94: bool


def _read_difficulty(table: Table) -> _Difficulty:
    limit_bits = table.need("limit_bits", _BITS)
    pow_limit = target_from_bits(limit_bits, 2**256 - 1)
    if pow_limit is None or bits_from_target(pow_limit) != limit_bits:
        raise table.error("limit_bits", f"{limit_bits:08x}", "the compact form of a target")
    spacing_s = table.need("spacing_s", whole(1, _MAX_U32))
    timespan_s = table.need("timespan_s", whole(4, _MAX_U32))
    if timespan_s % spacing_s:
        raise table.error("timespan_s", timespan_s, f"a multiple of spacing_s, {spacing_s}")
    return _Difficulty(
        pow_limit=pow_limit,
        pow_spacing_s=spacing_s,
        pow_timespan_s=timespan_s,
        no_retargeting=not table.get("retargeting", BOOLEAN, default=True),
        allow_min_difficulty=table.get("allow_min_difficulty", BOOLEAN, default=False),
        enforce_bip94=table.get("enforce_bip94", BOOLEAN, default=False),
    )


def _read_genesis(table: Table, pow_limit: int, *, pow_assumed: bool) -> Block:
    time = table.need("time", _TIME)
    message = table.need("message", _MESSAGE)
    script = table.get("script", _SCRIPT, default=op_return(b""))
    bits = table.get("bits", _BITS, default=bits_from_target(pow_limit))
    nonce = table.get("nonce", whole(0, _MAX_U32), default=None)
    expected_hash = table.get("hash", _HASH, default=None)
    target = target_from_bits(bits, pow_limit)
    if target is None:
        raise table.error("bits", f"{bits:08x}", "a target no higher than difficulty.limit_bits")
    genesis = genesis_block(
        time=time, nonce=nonce or 0, bits=bits, message=message, script_pubkey=script
    )
    if nonce is None and not pow_assumed:
        nonce = _lowest_nonce(genesis, target, table)
        genesis = genesis_block(
            time=time, nonce=nonce, bits=bits, message=message, script_pubkey=script
        )
    if not pow_assumed and not is_proof_of_work(genesis.hash, bits, pow_limit):
        wanted = f"one whose hash meets {bits:08x}, or none, to have the lowest found"
        raise table.error("nonce", nonce, wanted)
    if expected_hash is not None and genesis.hash != expected_hash:
        wanted = f"{display(genesis.hash)}, which the other keys come to"
        raise table.error("hash", display(expected_hash), wanted)
    return genesis


def _lowest_nonce(block: Block, target: int, table: Table) -> int:
    expected_hashes = block_work(block.header.bits)
    if expected_hashes > MAX_SEARCH:
        raise table.error("nonce", None, f"one; to find it takes {expected_hashes:,} hashes")
    unfinished = block.header.encode()[:-4]
    for nonce in range(_MAX_U32 + 1):
        block_hash = sha256d(unfinished + nonce.to_bytes(4, "little"))
        if int.from_bytes(block_hash, "little") <= target:
            return nonce
    raise table.error("time", block.header.time, "another, since no nonce solves this block")


def _read_prefixes(table: Table) -> AddressPrefixes:
    prefixes = AddressPrefixes(
        key_hash=table.need("key_hash", _BYTE),
        script_hash=table.need("script_hash", _BYTE),
        secret=table.need("secret", _BYTE),
        segwit=table.need("segwit", _HRP),
        extended_public=table.get(
            "extended_public", _hex(4, 4), default=REGTEST.address.extended_public
        ),
        extended_secret=table.get(
            "extended_secret", _hex(4, 4), default=REGTEST.address.extended_secret
        ),
    )
    if prefixes.key_hash == prefixes.script_hash:
        raise table.error("script_hash", prefixes.script_hash, "another byte than key_hash")
    return prefixes


def _read_deployments(root: Table) -> tuple[Deployment, ...]:
    deployments: list[Deployment] = []
    keys = "name bit start timeout min_activation_height threshold period"
    for table in root.tables("deployment", keys):
        period = table.need("period", whole(1, _MAX_HEIGHT))
        deployment = Deployment(
            name=table.need("name", _DEPLOYMENT_NAME),
            bit=table.need("bit", whole(0, 28)),
            start_time=table.need("start", _START),
            timeout=table.get("timeout", _TIMEOUT, default=NO_TIMEOUT),
            min_activation_height=table.get("min_activation_height", _HEIGHT, default=0),
            threshold=table.need("threshold", whole(1, period)),
            period=period,
        )
        for other in deployments:
            if deployment.name == other.name:
                raise table.error("name", deployment.name, "a name that no other has")
            if deployment.bit == other.bit:
                raise table.error("bit", deployment.bit, f"another bit than {other.name}'s")
        deployments.append(deployment)
    return tuple(deployments)


# Kinds of value.


def _hex(least_bytes: int, most_bytes: int) -> Kind[bytes]:
    def convert(value: Any) -> bytes | None:
        if not isinstance(value, str) or not re.fullmatch("([0-9a-fA-F]{2})*", value):
            return None
        data = bytes.fromhex(value)
        return data if least_bytes <= len(data) <= most_bytes else None

    size = f"{least_bytes}" if least_bytes == most_bytes else f"{least_bytes} to {most_bytes}"
    return Kind(f"a string of hex digits for {size} bytes", convert)


def _time(value: Any) -> int | None:
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        value = int(aware.timestamp())
    return whole(0, _MAX_U32).convert(value)


def _time_or_word(words: Mapping[str, int]) -> Kind[int]:
    def convert(value: Any) -> int | None:
        return words.get(value) if isinstance(value, str) else _time(value)

    quoted = " or ".join(f'"{word}"' for word in words)
    return Kind(f"{_TIME.wanted}, or {quoted}", convert)


def _magic(value: Any) -> bytes | None:
    magic = _hex(4, 4).convert(value)
    return None if any(magic == chain.magic for chain in CHAINS.values()) else magic


def _message(value: Any) -> bytes | None:
    message = value.encode() if isinstance(value, str) else None
    return message if message is not None and len(message) <= _MAX_MESSAGE_BYTES else None


def _bits(value: Any) -> int | None:
    data = _hex(4, 4).convert(value)
    return None if data is None else int.from_bytes(data, "big")


def _hash(value: Any) -> bytes | None:
    data = _hex(32, 32).convert(value)
    return None if data is None else data[::-1]


def _pow(value: Any) -> bool | None:
    return value == "assumed" if value in ("checked", "assumed") else None


def _number_in_hex(value: Any) -> int | None:
    is_hex = isinstance(value, str) and re.fullmatch("[0-9a-fA-F]{1,64}", value)
    return int(value, 16) if is_hex else None


_POW = Kind('"checked" or "assumed"', _pow)
_BYTE = whole(0, 0xFF)
_PORT = whole(1, 0xFFFF)
_HEIGHT = whole(0, _MAX_HEIGHT)
_NAME = text(
    "a name of its own, in small letters, digits and dashes",
    "[a-z][a-z0-9-]{0,31}",
    taken=frozenset({*CHAINS, "classic"}),
)
_DEPLOYMENT_NAME = text("a name in small letters, digits and dashes", "[a-z0-9-]{1,32}")
_HRP = text('1 to 20 small letters, such as "dry"', "[a-z]{1,20}")
_MAGIC = Kind("8 hex digits that are no known chain's", _magic)
_MESSAGE = Kind(f"a sentence of at most {_MAX_MESSAGE_BYTES} bytes", _message)
_BITS = Kind('a target in compact form, 8 hex digits such as "207fffff"', _bits)
_HASH = Kind("a block hash as people see it, 64 hex digits", _hash)
_NUMBER_IN_HEX = Kind("a string of up to 64 hex digits", _number_in_hex)
_SCRIPT = _hex(1, 10_000)
_TIME = Kind("a time, as unix seconds or 2026-01-31T12:00:00Z", _time)
_START = _time_or_word({"always": ALWAYS_ACTIVE, "never": NEVER_ACTIVE})
_TIMEOUT = _time_or_word({"none": NO_TIMEOUT})
