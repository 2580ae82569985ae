"""Which transactions are standard: of forms that are relayed, though consensus allows more.

What is odd costs those who check it, or may get a meaning by a later soft fork. `check_standard`
and `check_inputs_standard` are the tables of contents, in the reference client's order; each rule
is a function, and has one reason.
"""

from collections.abc import Sequence
from typing import Final

from drystone.consensus.coins import Coin
from drystone.consensus.limits import MAX_BLOCK_SIGOPS_COST
from drystone.consensus.script.checker import InputChecker
from drystone.consensus.script.errors import ScriptInvalid
from drystone.consensus.script.flags import Flags
from drystone.consensus.script.interpreter import run
from drystone.consensus.script.machine import Machine
from drystone.consensus.script.sighash import SignatureHashes
from drystone.consensus.script.sigops import count_sigops, p2sh_sigops
from drystone.consensus.script.taproot import (
    ANNEX_TAG,
    LEAF_VERSION_TAPSCRIPT,
    leaf_version,
)
from drystone.mempool.errors import InputsNonstandard, TxNonstandard, WitnessMutated
from drystone.mempool.policy import Policy, fee_at
from drystone.primitives.codec import compact_size
from drystone.primitives.output_type import OutputType, multisig_of, output_type
from drystone.primitives.script import (
    MAX_SCRIPT_BYTES,
    P2A,
    is_p2sh,
    is_push_only,
    is_unspendable,
    witness_program,
)
from drystone.primitives.transaction import WITNESS_SCALE_FACTOR, Transaction, TxIn, TxOut

MIN_STANDARD_VERSION: Final = 1
MAX_STANDARD_VERSION: Final = 3  # TRUC (BIP431)
MAX_STANDARD_WEIGHT: Final = 400_000
MIN_STANDARD_BYTES: Final = 65  # without the witness
MAX_SCRIPT_SIG_BYTES: Final = 1_650  # 15 of 15 signatures in P2SH, and some
MAX_MULTISIG_KEYS: Final = 3  # bare
MAX_DUST_OUTPUTS: Final = 1
MAX_P2SH_SIGOPS: Final = 15
MAX_LEGACY_SIGOPS: Final = 2_500  # BIP54
MAX_SIGOP_COST: Final = MAX_BLOCK_SIGOPS_COST // 5
MAX_P2WSH_SCRIPT_BYTES: Final = 3_600
MAX_P2WSH_STACK_ITEMS: Final = 100
MAX_P2WSH_STACK_ITEM_BYTES: Final = 80
MAX_TAPSCRIPT_STACK_ITEM_BYTES: Final = 80

# What an input takes that spends an output: outpoint, sequence, length, and 107 bytes of signature
# and key, of which the witness discount leaves a quarter.
_SPENDING_BYTES = 32 + 4 + 1 + 107 + 4
_WITNESS_SPENDING_BYTES = 32 + 4 + 1 + 107 // WITNESS_SCALE_FACTOR + 4
_MOST_BYTES = 8 + 3 + MAX_SCRIPT_BYTES + _SPENDING_BYTES  # of an output and its spending


# ---------------------------------------------------------------------- by itself


def check_standard(tx: Transaction, policy: Policy) -> None:
    """All that can be said without knowing what a transaction spends. Core: IsStandardTx.

    Raises TxNonstandard with the first broken rule.
    """
    check_version(tx)
    check_weight(tx)
    check_script_sigs(tx)
    check_outputs(tx, policy)
    check_few_dust_outputs(tx, policy)


def check_version(tx: Transaction) -> None:
    """The version is one that has a meaning. Core: IsStandardTx.

    Raises TxNonstandard("version").
    """
    if not MIN_STANDARD_VERSION <= tx.version <= MAX_STANDARD_VERSION:
        raise TxNonstandard("version", f"version {tx.version}")


def check_weight(tx: Transaction) -> None:
    """A transaction takes a tenth of a block at most. Core: IsStandardTx.

    Hashing for legacy signatures takes time by the square of its size.
    Raises TxNonstandard("tx-size").
    """
    if tx.weight > MAX_STANDARD_WEIGHT:
        raise TxNonstandard("tx-size", f"{tx.weight} weight units")


def check_script_sigs(tx: Transaction) -> None:
    """What unlocks legacy outputs is short, and pushes only: `check_script_sig` of each input."""
    for txin in tx.vin:
        script_sig = txin.script_sig
        if script_sig:
            check_script_sig_size(script_sig)
            check_script_sig_pushes(script_sig)


def check_script_sig_size(script_sig: bytes) -> None:
    """15 signatures in P2SH fit, and not much more. Core: IsStandardTx.

    Raises TxNonstandard("scriptsig-size").
    """
    if len(script_sig) > MAX_SCRIPT_SIG_BYTES:
        raise TxNonstandard("scriptsig-size", f"{len(script_sig)} bytes")


def check_script_sig_pushes(script_sig: bytes) -> None:
    """What unlocks only pushes, so that nobody but the signer can alter it. Core: IsStandardTx.

    Raises TxNonstandard("scriptsig-not-pushonly").
    """
    if not is_push_only(script_sig):
        raise TxNonstandard("scriptsig-not-pushonly")


def check_outputs(tx: Transaction, policy: Policy) -> None:
    """Each output is of a kind that has a name, and data outputs are short: the rules below."""
    data_bytes = 0
    for txout in tx.vout:
        script = txout.script_pubkey
        kind = output_type(script)
        if kind is OutputType.NULL_DATA:
            data_bytes += len(script)
            check_data_size(data_bytes, policy)
        elif kind is OutputType.NONSTANDARD:
            check_output_kind(script, kind)
        elif kind is OutputType.MULTISIG:
            check_output_kind(script, kind)
            check_bare_multisig(policy)


def check_output_kind(script: bytes, kind: OutputType) -> None:
    """An output script has a known shape; bare multisig has three keys at most. Core: IsStandard.

    Witness programs of versions to come are fine: to be paid there is no reason for distrust.
    Raises TxNonstandard("scriptpubkey").
    """
    keys = multisig_of(script)
    has_many_keys = keys is not None and keys[1] > MAX_MULTISIG_KEYS
    if kind is OutputType.NONSTANDARD or has_many_keys:
        raise TxNonstandard("scriptpubkey", f"{script[:40].hex()}")


def check_data_size(data_bytes: int, policy: Policy) -> None:
    """Scripts of data outputs, so far, are short enough together. Core: IsStandardTx.

    Raises TxNonstandard("datacarrier").
    """
    if data_bytes > policy.max_datacarrier_bytes:
        raise TxNonstandard("datacarrier", f"{data_bytes} bytes")


def check_bare_multisig(policy: Policy) -> None:
    """Multisig in the open is paid to only if policy says so. Core: IsStandardTx.

    Raises TxNonstandard("bare-multisig").
    """
    if not policy.permitbaremultisig:
        raise TxNonstandard("bare-multisig")


def check_few_dust_outputs(tx: Transaction, policy: Policy) -> None:
    """One output at most is dust, to be spent at once: see `ephemeral.py`. Core: IsStandardTx.

    Raises TxNonstandard("dust").
    """
    count = len(dust_outputs(tx, policy.dustrelayfee))
    if count > MAX_DUST_OUTPUTS:
        raise TxNonstandard("dust", f"{count} outputs")


def check_not_tiny(tx: Transaction) -> None:
    """A transaction without its witness has 65 bytes at least.

    CVE-2017-12842: one of 64 bytes looks like two hashes of a merkle tree. Core: PreChecks, which
    asks for it even where nonstandard transactions are let in.
    Raises TxNonstandard("tx-size-small").
    """
    if tx.stripped_size < MIN_STANDARD_BYTES:
        raise TxNonstandard("tx-size-small", f"{tx.stripped_size} bytes")


# ---------------------------------------------------------------------- dust


def dust_outputs(tx: Transaction, rate: int) -> list[int]:
    """Which outputs are dust. Core: GetDust."""
    enough = fee_at(
        rate, _MOST_BYTES
    )  # most outputs have more, so that no script need be looked at
    return [n for n, txout in enumerate(tx.vout) if txout.value < enough and is_dust(txout, rate)]


def is_dust(txout: TxOut, rate: int) -> bool:
    """Whether an output is worth less than it costs to spend it. Core: IsDust."""
    return txout.value < dust_threshold(txout.script_pubkey, rate)


def dust_threshold(script: bytes, rate: int) -> int:
    """What an output with this script must be worth, at a rate per 1,000 virtual bytes.

    Spending P2WPKH is the measure for all witness programs. At 3,000 it is 294 for them and 546
    for P2PKH; nothing for outputs that nobody can spend. Core: GetDustThreshold.
    """
    if is_unspendable(script):
        return 0
    size = 8 + len(compact_size(len(script))) + len(script)
    size += _SPENDING_BYTES if witness_program(script) is None else _WITNESS_SPENDING_BYTES
    return fee_at(rate, size)


# ---------------------------------------------------------------------- inputs


def check_inputs_standard(tx: Transaction, spent: Sequence[Coin]) -> None:
    """What a transaction spends is of a known kind, and cheap to check. The witness aside.

    spent: one for each input. Core: ValidateInputsStandardness.
    Raises InputsNonstandard("bad-txns-nonstandard-inputs").
    """
    check_legacy_sigops(tx, spent)
    for index, coin in enumerate(spent):
        script = coin.output.script_pubkey
        kind = output_type(script)
        if kind is OutputType.SCRIPTHASH:
            check_redeem_sigops(tx.vin[index].script_sig, index)
        elif kind is OutputType.NONSTANDARD:
            raise InputsNonstandard("bad-txns-nonstandard-inputs", f"input {index} script unknown")
        elif kind is OutputType.WITNESS_UNKNOWN:
            raise InputsNonstandard(
                "bad-txns-nonstandard-inputs", f"input {index} witness program is undefined"
            )


def check_legacy_sigops(tx: Transaction, spent: Sequence[Coin]) -> None:
    """Signature checks that may run outside of witnesses are few (BIP54).

    Those in the scripts that are spent count, which blocks count where they are made.
    Core: CheckSigopsBIP54. Raises InputsNonstandard("bad-txns-nonstandard-inputs").
    """
    count = 0
    for txin, coin in zip(tx.vin, spent, strict=True):
        script = coin.output.script_pubkey
        count += count_sigops(txin.script_sig, accurate=True)
        if is_p2sh(script):
            count += p2sh_sigops(txin.script_sig, script)
        else:
            count += count_sigops(script, accurate=True)
        if count > MAX_LEGACY_SIGOPS:
            raise InputsNonstandard(
                "bad-txns-nonstandard-inputs", "non-witness sigops exceed bip54 limit"
            )


def check_redeem_sigops(script_sig: bytes, index: int) -> None:
    """A P2SH input reveals a script, of 15 signature checks at most. Core: AreInputsStandard.

    Raises InputsNonstandard("bad-txns-nonstandard-inputs").
    """
    try:
        pushed = pushed_by(script_sig)
    except ScriptInvalid as invalid:
        raise InputsNonstandard(
            "bad-txns-nonstandard-inputs",
            f"p2sh scriptsig malformed (input {index}: {invalid.error.value})",
        ) from None
    if not pushed:
        raise InputsNonstandard(
            "bad-txns-nonstandard-inputs", f"input {index} P2SH redeemscript missing"
        )
    count = count_sigops(pushed[-1], accurate=True)
    if count > MAX_P2SH_SIGOPS:
        raise InputsNonstandard(
            "bad-txns-nonstandard-inputs",
            f"p2sh redeemscript sigops exceed limit (input {index}: {count} > {MAX_P2SH_SIGOPS})",
        )


def pushed_by(script_sig: bytes) -> list[bytes]:
    """What a scriptSig that only pushes leaves on the stack. Raises ScriptInvalid."""
    stack: list[bytes] = []
    run(Machine(script_sig, stack, Flags.NONE, _NEVER_ASKED))
    return stack


_NEVER_ASKED = InputChecker(SignatureHashes(Transaction(0, (), ()), ()), 0)


# ---------------------------------------------------------------------- witnesses


def check_witness_standard(tx: Transaction, spent: Sequence[Coin]) -> None:
    """Witnesses belong to what is spent, and are not bloated. Core: IsWitnessStandard.

    Raises WitnessMutated("bad-witness-nonstandard").
    """
    for index, (txin, coin) in enumerate(zip(tx.vin, spent, strict=True)):
        if txin.witness and not _is_witness_standard(txin, coin.output.script_pubkey):
            raise WitnessMutated("bad-witness-nonstandard", f"input {index}")


def _is_witness_standard(txin: TxIn, script: bytes) -> bool:
    if script == P2A:
        return False  # anyone may spend it, so anyone could stuff its witness
    in_p2sh = is_p2sh(script)
    if in_p2sh:
        redeem_script = _redeem_script(txin.script_sig)
        if redeem_script is None:
            return False
        script = redeem_script
    program = witness_program(script)
    if program is None:
        return False
    version, data = program
    witness = txin.witness
    if version == 0 and len(data) == 32:
        return _is_p2wsh_standard(witness)
    if version == 1 and len(data) == 32 and not in_p2sh:
        return _is_taproot_standard(witness)
    return True


def _redeem_script(script_sig: bytes) -> bytes | None:
    try:
        pushed = pushed_by(script_sig)
    except ScriptInvalid:
        return None
    return pushed[-1] if pushed else None


def _is_p2wsh_standard(witness: tuple[bytes, ...]) -> bool:
    items = witness[:-1]
    return (
        len(witness[-1]) <= MAX_P2WSH_SCRIPT_BYTES
        and len(items) <= MAX_P2WSH_STACK_ITEMS
        and all(len(item) <= MAX_P2WSH_STACK_ITEM_BYTES for item in items)
    )


def _is_taproot_standard(witness: tuple[bytes, ...]) -> bool:
    if len(witness) == 1:
        return True  # a signature
    if witness[-1][:1] == bytes((ANNEX_TAG,)):
        return False  # no annex has a meaning yet
    control_block = witness[-1]
    if not control_block:
        return False
    if leaf_version(control_block) != LEAF_VERSION_TAPSCRIPT:
        return True
    return all(len(item) <= MAX_TAPSCRIPT_STACK_ITEM_BYTES for item in witness[:-2])


def spends_witness_program(tx: Transaction, spent: Sequence[Coin]) -> bool:
    """Whether an input spends a witness program other than an anchor, bare or in P2SH.

    So that a script that fails for want of a witness is known for what it is. Core:
    SpendsNonAnchorWitnessProg.
    """
    for txin, coin in zip(tx.vin, spent, strict=True):
        script = coin.output.script_pubkey
        if witness_program(script) is not None and script != P2A:
            return True
        if is_p2sh(script):
            redeem_script = _redeem_script(txin.script_sig)
            if redeem_script is not None and witness_program(redeem_script) is not None:
                return True
    return False


def check_sigop_cost(cost: int) -> None:
    """Signature checks take a fifth of a block's limit at most. Core: PreChecks.

    Raises TxNonstandard("bad-txns-too-many-sigops").
    """
    if cost > MAX_SIGOP_COST:
        raise TxNonstandard("bad-txns-too-many-sigops", f"{cost}")
