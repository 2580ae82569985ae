"""bip341_wallet_vectors.json: trees, tweaks, control blocks, and signatures by output keys."""

from dataclasses import replace
from typing import Any

from tests.support.vectors import vectors

from drystone.consensus.script.flags import STANDARD
from drystone.consensus.script.sighash import SignatureHashes
from drystone.consensus.script.taproot import (
    branch_hash,
    check_commitment,
    check_control_block_size,
    leaf_version,
    merkle_root,
    tap_leaf_hash,
)
from drystone.consensus.script.verify import verify_input
from drystone.crypto.secp256k1 import (
    sign_schnorr,
    tap_tweak,
    tap_tweak_secret,
    tweak_public_key,
    x_only_public_key,
)
from drystone.primitives.hashes import tagged_hash
from drystone.primitives.script import p2tr
from drystone.primitives.transaction import Transaction, TxOut

Json = dict[str, Any]


def outputs(file: Json) -> list[Json]:
    return list(file["scriptPubKey"])


def spendings(file: Json) -> list[Json]:
    return list(file["keyPathSpending"])


def key_path_inputs(file: Json) -> list[tuple[Json, Json]]:
    return [(spending, txin) for spending in spendings(file) for txin in spending["inputSpending"]]


def leaf_hashes(tree: Any) -> list[bytes]:
    """From left to right."""
    if tree is None:
        return []
    if isinstance(tree, list):
        return [leaf for branch in tree for leaf in leaf_hashes(branch)]
    return [tap_leaf_hash(bytes.fromhex(tree["script"]), tree["leafVersion"])]


def root(tree: Any) -> bytes:
    """Empty for no tree."""
    if isinstance(tree, list):
        left, right = tree
        return branch_hash(root(left), root(right))
    return b"".join(leaf_hashes(tree))


def maybe(hexadecimal: str | None) -> bytes:
    return bytes.fromhex(hexadecimal or "")


@vectors("bip341_wallet_vectors.json", outputs)
def test_an_output_key_is_the_internal_key_tweaked_by_the_tree(case: Json) -> None:
    given, between, expected = case["given"], case["intermediary"], case["expected"]
    internal_key = bytes.fromhex(given["internalPubkey"])
    tree = given["scriptTree"]

    assert [leaf.hex() for leaf in leaf_hashes(tree)] == between.get("leafHashes", [])
    assert root(tree) == maybe(between["merkleRoot"])
    tweak = tap_tweak(internal_key, root(tree))
    assert tweak.hex() == between["tweak"]
    output_key, _ = tweak_public_key(internal_key, tweak)
    assert output_key.hex() == between["tweakedPubkey"]
    assert p2tr(output_key).hex() == expected["scriptPubKey"]


@vectors("bip341_wallet_vectors.json", outputs)
def test_a_control_block_leads_from_its_leaf_to_the_output_key(case: Json) -> None:
    output_key = bytes.fromhex(case["intermediary"]["tweakedPubkey"])
    leaves = leaf_hashes(case["given"]["scriptTree"])
    blocks = case["expected"].get("scriptPathControlBlocks", [])
    for control_block, leaf in zip(map(bytes.fromhex, blocks), leaves, strict=True):
        check_control_block_size(control_block)
        check_commitment(control_block, output_key, leaf)
        assert merkle_root(control_block, leaf).hex() == case["intermediary"]["merkleRoot"]
        assert leaf_version(control_block) in (0xC0, 0xFA)


def spent_outputs(spending: Json) -> list[TxOut]:
    return [
        TxOut(utxo["amountSats"], bytes.fromhex(utxo["scriptPubKey"]))
        for utxo in spending["given"]["utxosSpent"]
    ]


@vectors("bip341_wallet_vectors.json", key_path_inputs)
def test_an_input_signs_its_digest_by_the_tweaked_key(case: tuple[Json, Json]) -> None:
    spending, txin = case
    given, between = txin["given"], txin["intermediary"]
    tx = Transaction.from_bytes(bytes.fromhex(spending["given"]["rawUnsignedTx"]))
    hashes = SignatureHashes(tx, spent_outputs(spending))

    digest = hashes.taproot(given["txinIndex"], given["hashType"])
    assert digest is not None
    assert digest == tagged_hash("TapSighash", bytes.fromhex(between["sigMsg"]))
    assert digest.hex() == between["sigHash"]

    secret = bytes.fromhex(given["internalPrivkey"])
    assert x_only_public_key(secret).hex() == between["internalPubkey"]
    tweak = tap_tweak(x_only_public_key(secret), maybe(given["merkleRoot"]))
    tweaked = tap_tweak_secret(secret, tweak)
    assert tweaked.hex() == between["tweakedPrivkey"]
    hash_type = bytes((given["hashType"],)) if given["hashType"] else b""
    assert [(sign_schnorr(tweaked, digest) + hash_type).hex()] == txin["expected"]["witness"]


@vectors("bip341_wallet_vectors.json", spendings)
def test_the_taproot_inputs_verify(case: Json) -> None:
    tx = Transaction.from_bytes(bytes.fromhex(case["given"]["rawUnsignedTx"]))
    vin = list(tx.vin)
    for txin in case["inputSpending"]:
        at = txin["given"]["txinIndex"]
        vin[at] = replace(vin[at], witness=tuple(map(bytes.fromhex, txin["expected"]["witness"])))
    signed = replace(tx, vin=tuple(vin))
    spent = spent_outputs(case)
    for at in (txin["given"]["txinIndex"] for txin in case["inputSpending"]):
        verify_input(SignatureHashes(signed, spent), at, STANDARD)
