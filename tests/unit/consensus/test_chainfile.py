"""Chains from a TOML text, and one sentence for each mistake. docs/chains.md has a whole file."""

import re
from dataclasses import replace

import pytest

from drystone.consensus.chainfile import ChainFileError, read_chain
from drystone.consensus.params import ALWAYS_ACTIVE, NEVER_ACTIVE, NO_TIMEOUT, Deployment
from drystone.consensus.pow import is_proof_of_work
from drystone.primitives.hashes import display

LEAST = """
name = "tea"
magic = "f1ca7a11"
port = 29333
rpc_port = 29332

[genesis]
time = 1700000000
message = "Tea at four"

[address]
key_hash = 140
script_hash = 142
secret = 220
segwit = "tea"

[difficulty]
limit_bits = "207fffff"
spacing_s = 10
timespan_s = 200
"""


def without(key: str) -> str:
    """LEAST without a line."""
    text = re.sub(rf"(?m)^{key} = .*\n", "", LEAST)
    assert text != LEAST
    return text


def with_line(line: str, table: str | None = None) -> str:
    """LEAST with a line more, or another for the same key."""
    key = re.escape(line.partition(" = ")[0])
    text = re.sub(rf"(?m)^{key} = .*\n", "", LEAST)
    if table is None:
        return f"{line}\n{text}"
    heading = f"[{table}]\n"
    return (
        text.replace(heading, heading + line + "\n") if heading in text else text + heading + line
    )


def message_of(text: str) -> str:
    with pytest.raises(ChainFileError) as caught:
        read_chain(text)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_what_is_left_out_is_as_on_a_new_chain() -> None:
    tea = read_chain(LEAST)
    assert tea.name == "tea"
    assert tea.magic == bytes.fromhex("f1ca7a11")
    assert (tea.port, tea.rpc_port) == (29333, 29332)
    assert (tea.address.key_hash, tea.address.segwit) == (140, "tea")
    assert tea.pow_limit == 0x7FFFFF << 232
    assert (tea.pow_spacing_s, tea.pow_timespan_s, tea.retarget_interval) == (10, 200, 20)
    assert not (tea.no_retargeting or tea.allow_min_difficulty or tea.enforce_bip94)
    assert (tea.halving_interval, tea.coinbase_maturity) == (210_000, 100)
    heights = [tea.bip34_height, tea.bip65_height, tea.bip66_height, tea.csv_height]
    assert heights == [1, 1, 1, 1] and tea.segwit_height == 1
    assert (tea.deployments, tea.signet_challenge, tea.minimum_chainwork) == ((), None, 0)
    assert not tea.pow_assumed


def test_a_genesis_without_nonce_gets_the_lowest_that_is_enough() -> None:
    tea = read_chain(with_line('bits = "1f7fffff"', "genesis"))
    genesis = tea.genesis
    assert is_proof_of_work(genesis.hash, 0x1F7FFFFF, tea.pow_limit)
    for nonce in range(genesis.header.nonce):
        header = replace(genesis.header, nonce=nonce)
        assert not is_proof_of_work(header.hash, header.bits, tea.pow_limit)
    assert read_chain(with_line('bits = "1f7fffff"', "genesis")) == tea


def test_a_file_says_the_same_each_time() -> None:
    assert read_chain(LEAST) == read_chain(LEAST)


def test_proof_of_work_can_be_assumed() -> None:
    easy = read_chain(with_line('pow = "assumed"'))
    assert easy.pow_assumed
    assert easy.genesis.header.nonce == 0
    assert not read_chain(with_line('pow = "checked"')).pow_assumed


def test_times_can_be_dates() -> None:
    dated = read_chain(with_line("time = 2023-11-14T22:13:20Z", "genesis"))
    assert dated.genesis.header.time == 1_700_000_000
    shifted = read_chain(with_line("time = 2023-11-14T23:13:20+01:00", "genesis"))
    assert shifted.genesis == dated.genesis == read_chain(LEAST).genesis


def test_all_keys_arrive_in_their_fields() -> None:
    chain = read_chain(
        """
        name = "a-2"
        magic = "F1CA7A11"
        port = 1
        rpc_port = 2
        pow = "assumed"
        minimum_chainwork = "ff00"
        [genesis]
        time = 1
        message = "x"
        bits = "1d00ffff"
        nonce = 3
        script = "51"
        [address]
        key_hash = 0
        script_hash = 5
        secret = 128
        segwit = "abc"
        extended_public = "01020304"
        extended_secret = "05060708"
        [difficulty]
        limit_bits = "1e00ffff"
        spacing_s = 5
        timespan_s = 50
        retargeting = false
        allow_min_difficulty = true
        enforce_bip94 = true
        [coins]
        halving_interval = 7
        maturity = 0
        [heights]
        bip34 = 10
        bip65 = 11
        bip66 = 12
        csv = 13
        segwit = 14
        [signet]
        challenge = "51"
        [[deployment]]
        name = "one"
        bit = 0
        start = "always"
        threshold = 1
        period = 2
        [[deployment]]
        name = "two"
        bit = 28
        start = 100
        timeout = 1970-01-01T00:03:20Z
        min_activation_height = 9
        threshold = 3
        period = 3
        [[deployment]]
        name = "three"
        bit = 1
        start = "never"
        timeout = "none"
        threshold = 1
        period = 1
        """
    )
    assert chain.minimum_chainwork == 0xFF00
    assert chain.genesis.header.bits == 0x1D00FFFF
    assert chain.genesis.coinbase.vout[0].script_pubkey == b"\x51"
    assert chain.address.extended_public == bytes((1, 2, 3, 4))
    assert chain.address.extended_secret == bytes((5, 6, 7, 8))
    assert chain.no_retargeting and chain.allow_min_difficulty and chain.enforce_bip94
    assert (chain.halving_interval, chain.coinbase_maturity) == (7, 0)
    assert (chain.bip34_height, chain.bip65_height, chain.bip66_height) == (10, 11, 12)
    assert (chain.csv_height, chain.segwit_height) == (13, 14)
    assert chain.signet_challenge == b"\x51"
    assert chain.deployments == (
        Deployment("one", 0, ALWAYS_ACTIVE, NO_TIMEOUT, 0, 1, 2),
        Deployment("two", 28, 100, 200, 9, 3, 3),
        Deployment("three", 1, NEVER_ACTIVE, NO_TIMEOUT, 0, 1, 1),
    )


def test_the_hash_makes_sure() -> None:
    genesis = read_chain(LEAST).genesis
    assert read_chain(with_line(f'hash = "{display(genesis.hash)}"', "genesis")).genesis == genesis
    assert message_of(with_line(f'hash = "{"0" * 64}"', "genesis")) == (
        f'genesis.hash: found "{"0" * 64}", '
        f"wanted {display(genesis.hash)}, which the other keys come to"
    )


# Mistakes.


def test_what_is_not_toml_is_shown_where() -> None:
    message = message_of("port = 1\nrpc_port = \n")
    assert message.startswith("not TOML: ")
    assert "line 2" in message


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("name", "name: missing, wanted a name of its own, in small letters, digits and dashes"),
        ("magic", "magic: missing, wanted 8 hex digits that are no known chain's"),
        ("port", "port: missing, wanted a whole number from 1 to 65535"),
        (
            "time",
            "genesis.time: missing, wanted a time, as unix seconds or 2026-01-31T12:00:00Z",
        ),
        ("message", "genesis.message: missing, wanted a sentence of at most 91 bytes"),
        ("key_hash", "address.key_hash: missing, wanted a whole number from 0 to 255"),
        ("segwit", 'address.segwit: missing, wanted 1 to 20 small letters, such as "dry"'),
        (
            "limit_bits",
            (
                "difficulty.limit_bits: missing, wanted a target in compact form, 8 hex digits "
                'such as "207fffff"'
            ),
        ),
        (
            "spacing_s",
            "difficulty.spacing_s: missing, wanted a whole number from 1 to 4294967295",
        ),
    ],
)
def test_what_is_missing_is_named(key: str, message: str) -> None:
    assert message_of(without(key)) == message


@pytest.mark.parametrize(
    ("line", "table", "message"),
    [
        ("prot = 1", None, "prot: unknown key; did you mean port?"),
        ("rcp_port = 1", None, "rcp_port: unknown key; did you mean rpc_port?"),
        (
            "spaceing_s = 1",
            "difficulty",
            "difficulty.spaceing_s: unknown key; did you mean difficulty.spacing_s?",
        ),
        (
            "xyz = 1",
            "coins",
            "coins.xyz: unknown key; known are halving_interval maturity",
        ),
        (
            "taproot = 1",
            "heights",
            "heights.taproot: unknown key; known are bip34 bip65 bip66 csv segwit",
        ),
    ],
)
def test_an_unknown_key_brings_the_nearest(line: str, table: str | None, message: str) -> None:
    assert message_of(with_line(line, table)) == message


@pytest.mark.parametrize(
    ("line", "table", "message"),
    [
        ('name = "mainnet"', None, 'name: found "mainnet", wanted a name of its own'),
        ('name = "classic"', None, 'name: found "classic", wanted a name of its own'),
        ('name = "Tea"', None, 'name: found "Tea", wanted a name of its own'),
        ("name = 7", None, "name: found 7, wanted a name of its own"),
        ('magic = "f9beb4d9"', None, 'magic: found "f9beb4d9", wanted 8 hex digits'),
        ('magic = "f9be"', None, 'magic: found "f9be", wanted 8 hex digits'),
        ('magic = "f9beb4dg"', None, 'magic: found "f9beb4dg", wanted 8 hex digits'),
        ("port = 0", None, "port: found 0, wanted a whole number from 1 to 65535"),
        ("port = 65536", None, "port: found 65536, wanted a whole number"),
        ("port = true", None, "port: found True, wanted a whole number"),
        ("port = 1.0", None, "port: found 1.0, wanted a whole number"),
        ('port = "1"', None, 'port: found "1", wanted a whole number'),
        ("rpc_port = 29333", None, "rpc_port: found 29333, wanted another port than port"),
        ('pow = "none"', None, 'pow: found "none", wanted "checked" or "assumed"'),
        ("pow = []", None, 'pow: found [], wanted "checked" or "assumed"'),
        ('minimum_chainwork = "0x1"', None, "minimum_chainwork: found"),
        ("coins = 1", None, "coins: found 1, wanted a table that begins with [coins]"),
        (
            "deployment = 1",
            None,
            "deployment: found 1, wanted tables that each begin with [[deployment]]",
        ),
        (
            "deployment = [1]",
            None,
            "deployment: found [1], wanted tables that each begin with [[deployment]]",
        ),
        ("time = -1", "genesis", "genesis.time: found -1, wanted a time"),
        ("time = 4294967296", "genesis", "genesis.time: found 4294967296, wanted a time"),
        ("time = 2026-01-01", "genesis", "genesis.time: found 2026-01-01, wanted a time"),
        (
            f'message = "{"x" * 92}"',
            "genesis",
            f'genesis.message: found "{"x" * 68}..., wanted a sentence of at most 91 bytes',
        ),
        ('script = "6"', "genesis", 'genesis.script: found "6", wanted a string of hex digits'),
        (
            'bits = "2100ffff"',
            "genesis",
            'genesis.bits: found "2100ffff", wanted a target no higher than difficulty.limit_bits',
        ),
        ('bits = "00000000"', "genesis", 'genesis.bits: found "00000000", wanted a target'),
        (
            'bits = "1c00ffff"',
            "genesis",
            "genesis.nonce: missing, wanted one; to find it takes 1,099,528,405,248 hashes",
        ),
        ("nonce = 4294967296", "genesis", "genesis.nonce: found 4294967296, wanted"),
        ('hash = "00"', "genesis", 'genesis.hash: found "00", wanted a block hash'),
        ("key_hash = 256", "address", "address.key_hash: found 256, wanted a whole number"),
        (
            "script_hash = 140",
            "address",
            "address.script_hash: found 140, wanted another byte than key_hash",
        ),
        ('segwit = "TEA"', "address", 'address.segwit: found "TEA", wanted 1 to 20 small'),
        ('segwit = ""', "address", 'address.segwit: found "", wanted 1 to 20 small letters'),
        ('extended_public = "0102"', "address", "address.extended_public: found"),
        (
            'limit_bits = "04923456"',
            "difficulty",
            'difficulty.limit_bits: found "04923456", wanted the compact form of a target',
        ),
        (
            'limit_bits = "20001234"',
            "difficulty",
            'difficulty.limit_bits: found "20001234", wanted the compact form of a target',
        ),
        (
            "timespan_s = 205",
            "difficulty",
            "difficulty.timespan_s: found 205, wanted a multiple of spacing_s, 10",
        ),
        ("retargeting = 1", "difficulty", "difficulty.retargeting: found 1, wanted true or false"),
        ("halving_interval = 0", "coins", "coins.halving_interval: found 0, wanted"),
        ("maturity = -1", "coins", "coins.maturity: found -1, wanted"),
        ("csv = -1", "heights", "heights.csv: found -1, wanted a whole number from 0"),
        ('challenge = ""', "signet", 'signet.challenge: found "", wanted a string of hex digits'),
    ],
)
def test_a_mistake_says_what_was_found_and_what_is_wanted(
    line: str, table: str | None, message: str
) -> None:
    assert message_of(with_line(line, table)).startswith(message)


def test_a_nonce_that_is_not_enough_is_refused() -> None:
    good = read_chain(with_line('bits = "1f7fffff"', "genesis")).genesis.header.nonce
    assert good > 0
    text = with_line(f'bits = "1f7fffff"\nnonce = {good - 1}', "genesis")
    assert message_of(text) == (
        f"genesis.nonce: found {good - 1}, "
        "wanted one whose hash meets 1f7fffff, or none, to have the lowest found"
    )


DEPLOYMENT = """
[[deployment]]
name = "one"
bit = 3
start = "never"
threshold = 8
period = 10
"""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("period = 10", ""), "deployment[0].period: missing, wanted a whole number"),
        (
            ("threshold = 8", "threshold = 11"),
            "deployment[0].threshold: found 11, wanted a whole number from 1 to 10",
        ),
        (
            ("bit = 3", "bit = 29"),
            "deployment[0].bit: found 29, wanted a whole number from 0 to 28",
        ),
        (
            ('"never"', '"soon"'),
            (
                'deployment[0].start: found "soon", wanted a time, as unix seconds or '
                '2026-01-31T12:00:00Z, or "always" or "never"'
            ),
        ),
        (("bit", "bits"), "deployment[0].bits: unknown key; did you mean deployment[0].bit?"),
    ],
)
def test_a_deployment_s_mistakes_are_told_likewise(change: tuple[str, str], message: str) -> None:
    assert message_of(LEAST + DEPLOYMENT.replace(*change)).startswith(message)


def test_deployments_share_neither_name_nor_bit() -> None:
    other = DEPLOYMENT.replace('"one"', '"two"')
    assert message_of(LEAST + DEPLOYMENT + other) == (
        "deployment[1].bit: found 3, wanted another bit than one's"
    )
    same = DEPLOYMENT.replace("bit = 3", "bit = 4")
    assert message_of(LEAST + DEPLOYMENT + same) == (
        'deployment[1].name: found "one", wanted a name that no other has'
    )
