"""The chains: their genesis blocks, what tells them apart, and changed ones.

Sources: Bitcoin Core's src/kernel/chainparams.cpp (of version 30) and src/chainparamsbase.cpp;
BIP94 for testnet4, BIP325 for signet; architecture.md for `local`.
"""

from dataclasses import FrozenInstanceError, replace

import pytest

from drystone.consensus.chains import (
    CHAINS,
    LOCAL,
    MAINNET,
    REGTEST,
    SIGNET,
    TESTNET4,
    signet,
    variant,
)
from drystone.consensus.params import ALWAYS_ACTIVE, Params
from drystone.consensus.pow import bits_from_target, block_work, is_proof_of_work
from drystone.primitives.block import Block
from drystone.primitives.hashes import display

THE_TIMES_ROOT = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"


@pytest.mark.parametrize(
    ("params", "block_hash", "merkle_root"),
    [
        (
            MAINNET,
            "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
            THE_TIMES_ROOT,
        ),
        (
            TESTNET4,
            "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043",
            "7aa0a7ae1e223414cb807e40cd57e667b718e42aaf9306db9102fe28912b7b4e",
        ),
        (
            SIGNET,
            "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6",
            THE_TIMES_ROOT,
        ),
        (
            REGTEST,
            "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
            THE_TIMES_ROOT,
        ),
        (
            LOCAL,
            "00003652eda7d03adef1a749ff2cb45e24820a6c96801910e141fb94de09d160",
            "25d502eb15706214bc5ff90d88428fcdc9985420386e119fba58cc50cdfee54a",
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Params) else "",
)
def test_genesis_is_the_known_one(params: Params, block_hash: str, merkle_root: str) -> None:
    assert display(params.genesis_hash) == block_hash
    assert display(params.genesis.header.merkle_root) == merkle_root
    assert params.genesis.merkle_root() == (params.genesis.header.merkle_root, False)
    assert is_proof_of_work(params.genesis_hash, params.genesis.header.bits, params.pow_limit)


def test_mainnet_s_genesis_is_known_to_the_byte() -> None:
    """Source: https://en.bitcoin.it/wiki/Genesis_block"""
    raw = bytes.fromhex(
        "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b2"
        "7ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c01010000000100"
        "00000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104"
        "455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b20"
        "6f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104"
        "678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504"
        "e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000"
    )
    assert MAINNET.genesis.encode() == raw
    assert Block.from_bytes(raw) == MAINNET.genesis


@pytest.mark.parametrize(
    ("params", "magic", "port", "rpc_port", "limit_bits"),
    [
        (MAINNET, "f9beb4d9", 8333, 8332, 0x1D00FFFF),
        (TESTNET4, "1c163f28", 48333, 48332, 0x1D00FFFF),
        (SIGNET, "0a03cf40", 38333, 38332, 0x1E0377AE),
        (REGTEST, "fabfb5da", 18444, 18443, 0x207FFFFF),
        (LOCAL, "e4d2f9ce", 27333, 27332, 0x207FFFFF),
    ],
    ids=lambda value: value.name if isinstance(value, Params) else "",
)
def test_constants_are_the_known_ones(
    params: Params, magic: str, port: int, rpc_port: int, limit_bits: int
) -> None:
    assert params.magic.hex() == magic
    assert (params.port, params.rpc_port) == (port, rpc_port)
    assert bits_from_target(params.pow_limit) == limit_bits


def test_no_two_chains_can_be_mixed_up() -> None:
    for what in ("name", "magic", "port", "rpc_port"):
        assert len({getattr(params, what) for params in CHAINS.values()}) == len(CHAINS)
    ports = {port for params in CHAINS.values() for port in (params.port, params.rpc_port)}
    assert len(ports) == 2 * len(CHAINS)


@pytest.mark.parametrize(
    ("params", "interval"),
    [(MAINNET, 2016), (TESTNET4, 2016), (SIGNET, 2016), (REGTEST, 144), (LOCAL, 20)],
)
def test_targets_change_at_the_interval(params: Params, interval: int) -> None:
    assert params.retarget_interval == interval
    assert all(deployment.period == interval for deployment in params.deployments)


@pytest.mark.parametrize("params", CHAINS.values(), ids=CHAINS)
def test_a_chain_is_a_value(params: Params) -> None:
    same = replace(params)
    assert same == params and hash(same) == hash(params)
    assert variant(params, "other") != params
    with pytest.raises(FrozenInstanceError):
        params.port = 1  # type: ignore[misc]


def test_local_is_as_hard_as_the_tutorial() -> None:
    assert block_work(LOCAL.genesis.header.bits) == 65_537
    assert LOCAL.pow_timespan_s == 200
    assert not LOCAL.allow_min_difficulty
    assert not LOCAL.no_retargeting
    assert LOCAL.coinbase_maturity == 100
    heights = (LOCAL.bip34_height, LOCAL.bip65_height, LOCAL.bip66_height, LOCAL.csv_height)
    assert {*heights, LOCAL.segwit_height} == {1}


def test_signet_s_magic_follows_from_its_challenge() -> None:
    assert SIGNET.signet_challenge is not None
    assert signet(SIGNET.signet_challenge).magic == SIGNET.magic
    own = signet(b"\x51", "ours")
    assert own.name == "ours"
    assert own.magic != SIGNET.magic
    assert own.genesis == SIGNET.genesis


def test_taproot_is_known_as_it_was_deployed() -> None:
    taproot = {params.name: params.deployments[1] for params in CHAINS.values()}
    assert {deployment.name for deployment in taproot.values()} == {"taproot"}
    assert taproot["mainnet"].min_activation_height == 709_632
    del taproot["mainnet"]
    assert {deployment.start_time for deployment in taproot.values()} == {ALWAYS_ACTIVE}


# Changed chains.


def test_a_variant_has_its_own_name_and_differs_in_what_was_asked() -> None:
    late = variant(REGTEST, "late", activation_heights={"segwit": 10, "cltv": 20}, port=1)
    assert (late.name, late.segwit_height, late.bip65_height, late.port) == ("late", 10, 20, 1)
    assert variant(late, "again", segwit_height=0, bip65_height=1, port=18444) == variant(
        REGTEST, "again"
    )


@pytest.mark.parametrize(
    ("deployment", "field"),
    [
        ("segwit", "segwit_height"),
        ("bip34", "bip34_height"),
        ("dersig", "bip66_height"),
        ("cltv", "bip65_height"),
        ("csv", "csv_height"),
    ],
)
def test_activation_heights_go_by_the_reference_client_s_names(deployment: str, field: str) -> None:
    changed = variant(REGTEST, "changed", activation_heights={deployment: 77})
    assert getattr(changed, field) == 77


@pytest.mark.parametrize("name", ["regtest", "mainnet", "local"])
def test_a_variant_may_not_pass_for_a_known_chain(name: str) -> None:
    with pytest.raises(ValueError, match=f"a changed chain wants a name of its own, not '{name}'"):
        variant(REGTEST, name, port=1)


def test_an_unknown_deployment_is_named() -> None:
    with pytest.raises(ValueError, match="'taproot': known are segwit, bip34, dersig, cltv, csv"):
        variant(REGTEST, "changed", activation_heights={"taproot": 1})
