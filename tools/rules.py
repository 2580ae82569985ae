"""Write docs/rules.md: every rule, the BIP it is from, where it is written and what proves it.

    python tools/rules.py            write the page anew
    python tools/rules.py --check    only say whether it is as it would be written

The page is made of the code: of functions that raise a rejection, their docstrings, and the tests
that name its reason. A rule that no test names is an error.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCE: Final = ROOT / "src" / "drystone"
TESTS: Final = ROOT / "tests"
PAGE: Final = ROOT / "docs" / "rules.md"
SCRIPT_ERRORS: Final = (
    "tests/unit/consensus/rules/test_script_errors"  # whose tests have each of them
)

REJECTIONS: Final = frozenset(
    ("TxInvalid", "TxPremature", "MissingInputs", "BlockInvalid", "BlockMutated", "BlockPremature")
)

INTRODUCTION: Final = """\
# Rules

Every rule of Bitcoin's consensus: the BIP it comes from, where it is written, and a test that
proves it. Where no BIP is named, the rule is as old as the chain, or came with the fix that is.

A reason is what the reference client, version 31, says of a block or a transaction that breaks the
rule. The class that it is raised as says what to do then: `consensus/errors.py`. Rules stand in the
order in which they are looked at, which is the reference client's too: of several broken rules the
first is reported.

All of them at once, on a block's bytes and the coins that it spends:

```python
from drystone.consensus.chains import MAINNET
from drystone.consensus.connect import verify_block
from drystone.primitives.block import Block

change = verify_block(
    Block.from_bytes(MAINNET.genesis.encode()),
    coins={},  # OutPoint -> Coin: those that the block spends, or all there are
    height=0,
    median_time_at={}.__getitem__,  # height -> median time past; blocks before BIP113 ask for none
    params=MAINNET,
)
assert change.fees == 0  # and so on: what was spent, what was made, the sigops
```

A block that breaks a rule raises `Rejected`, whose `reason` is in the tables below.

`python tools/rules.py` makes this page from the code and its tests, and a test compares.
"""


class Section(NamedTuple):
    """A table: of all rules that the modules raise, or of the functions named."""

    title: str
    text: str
    modules: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()  # module and name, and where to look for a test first


SECTIONS: Final = (
    Section(
        "Transactions",
        "In themselves: `check_transaction`. Given the coins that they spend: `check_tx_inputs`.",
        modules=("consensus/transaction.py",),
    ),
    Section(
        "Headers",
        "In themselves: `check_header`. On top of their chain: `contextual_check_header`.",
        modules=("consensus/header.py",),
    ),
    Section(
        "Blocks",
        "In themselves: `check_block`, which asks for a signet's solution right after the work; "
        "what is wrong with a transaction is wrong with its block. On top of the headers below: "
        "`contextual_check_block`, which looks at witnesses before it weighs them.",
        modules=("consensus/block.py", "consensus/signet.py", "consensus/witness_commitment.py"),
    ),
    Section(
        "Connecting blocks",
        "Given the coins that they spend: `connect_block`. All at once: `verify_block`.",
        modules=("consensus/connect.py",),
    ),
    Section(
        "What the rules compute",
        "Functions that break no rule themselves, and that rules go by.",
        functions=(
            "primitives/merkle.py merkle_root",
            "consensus/pow.py target_from_bits",
            "consensus/pow.py is_proof_of_work",
            "consensus/pow.py block_work",
            "consensus/pow.py next_bits",
            "consensus/deployments.py deployment_state",
            "consensus/deployments.py script_flags",
            "consensus/locktime.py median_time_past",
            "consensus/locktime.py is_final",
            "consensus/locktime.py sequence_lock",
            "consensus/locktime.py is_unlocked",
            "consensus/subsidy.py block_subsidy",
            "consensus/witness_commitment.py witness_commitment",
            "consensus/connect.py is_bip30_in_doubt",
            "consensus/transaction.py legacy_sigops",
            "consensus/transaction.py sigop_cost",
            "consensus/script/sigops.py count_sigops",
            "consensus/script/sigops.py p2sh_sigops",
            "consensus/script/sigops.py witness_sigops",
            "consensus/script/verify.py verify_scripts tests/vectors/test_script_tests",
            "consensus/script/verify.py verify_batch_of_scripts",
            "consensus/script/sighash.py legacy tests/vectors/test_sighash",
            "consensus/script/sighash.py witness_v0",
            "consensus/script/sighash.py taproot tests/vectors/test_bip341",
        ),
    ),
)


# Those of script errors, which several functions may raise for several reasons.
ORIGINS_OF_ERRORS: Final[Mapping[str, tuple[int, ...]]] = {
    "SCRIPTNUM": (62,),
    "PUSH_SIZE": (141,),
    "STACK_SIZE": (342,),
    "BAD_OPCODE": (342,),
    "NEGATIVE_LOCKTIME": (65, 112),
    "UNSATISFIED_LOCKTIME": (65, 112),
    "SIG_DER": (66,),
    "MINIMALDATA": (62,),
    "SIG_PUSHONLY": (16, 62),
    "SIG_HIGH_S": (62, 146),
    "SIG_NULLDUMMY": (147,),
    "CLEANSTACK": (62, 141),
    "NULLFAIL": (146,),
    "DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM": (141,),
    "DISCOURAGE_UPGRADABLE_TAPROOT_VERSION": (341,),
    "DISCOURAGE_OP_SUCCESS": (342,),
    "DISCOURAGE_UPGRADABLE_PUBKEYTYPE": (342,),
    "WITNESS_PROGRAM_WRONG_LENGTH": (141,),
    "WITNESS_PROGRAM_WITNESS_EMPTY": (141, 341),
    "WITNESS_PROGRAM_MISMATCH": (141, 341),
    "WITNESS_MALLEATED": (141,),
    "WITNESS_MALLEATED_P2SH": (141,),
    "WITNESS_UNEXPECTED": (141,),
    "WITNESS_PUBKEYTYPE": (143,),
    "SCHNORR_SIG_SIZE": (341,),
    "SCHNORR_SIG_HASHTYPE": (341,),
    "SCHNORR_SIG": (340, 341),
    "TAPROOT_WRONG_CONTROL_SIZE": (341,),
    "TAPSCRIPT_VALIDATION_WEIGHT": (342,),
    "TAPSCRIPT_CHECKMULTISIG": (342,),
    "TAPSCRIPT_MINIMALIF": (342,),
    "TAPSCRIPT_EMPTY_PUBKEY": (342,),
}


@dataclass(frozen=True)
class Rule:
    """A row: a function, and a reason that it raises if it raises any."""

    module: str
    function: ast.FunctionDef
    kind: str = ""
    reason: str = ""

    @property
    def docstring(self) -> str:
        """Of the function, in one line."""
        return " ".join((ast.get_docstring(self.function) or "").split())

    @property
    def sentence(self) -> str:
        """What the docstring begins with, less the BIPs in parentheses."""
        first = re.split(r"(?<=\.) ", self.docstring, maxsplit=1)[0]
        return re.sub(r" \((BIP[^)]*|CVE[^)]*)\)", "", first)

    @property
    def origins(self) -> str:
        """The BIPs and CVEs that the docstring names."""
        found = re.findall(r"BIP ?\d+|CVE-\d+-\d+", self.docstring)
        return ", ".join(dict.fromkeys(found))


def main() -> int:
    """0 if the page is, or now is, as the code has it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    page = "".join(written())
    if not parser.parse_args().check:
        PAGE.write_text(page)
    return 0 if PAGE.exists() and PAGE.read_text() == page else 1


def written() -> Iterator[str]:
    """The page, piece by piece. Raises LookupError for a rule without a test."""
    yield INTRODUCTION
    for section in SECTIONS:
        yield f"\n## {section.title}\n\n{section.text}\n\n"
        if section.modules:
            yield from table(
                ("Rule", "Reason", "BIP", "Function", "Test"),
                (rule_row(rule) for module in section.modules for rule in rules_of(module)),
            )
        else:
            yield from table(
                ("Function", "What", "BIP", "Test"),
                (function_row(*name.split()) for name in section.functions),
            )
    yield "\n## Scripts\n\n"
    yield (
        "Errors of the interpreter, with the reference client's names; in a block's rejection, the "
        "sentence stands in\n`block-script-verify-flag-failed (...)`. Flags say which rule binds "
        "when: `consensus/script/flags.py`.\n\n"
    )
    yield from table(("Sentence", "Error", "BIP", "Function", "Test"), script_rows())


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """In Markdown."""
    for row in (head, ("---",) * len(head), *rows):
        yield f"| {' | '.join(row)} |\n"


def rule_row(rule: Rule) -> tuple[str, ...]:
    """A rule that has a reason."""
    reason = f"`{rule.reason}` {rule.kind}"
    test = test_of(rule.reason.split("(")[0] + "(" * ("(" in rule.reason), home_of(rule.module))
    return rule.sentence, reason, rule.origins, place(rule.module, rule.function.name), test


def function_row(module: str, name: str, home: str = "") -> tuple[str, ...]:
    """A function that rules go by."""
    rule = Rule(module, functions_of(module)[name])
    test = test_of(name, home or home_of(module))
    return place(module, name), rule.sentence, rule.origins, test


def place(module: str, function: str) -> str:
    """Where to look."""
    return f"`{module}` `{function}`"


def rules_of(module: str) -> Iterator[Rule]:
    """Each rejection that a module raises, with the function that does, in their order."""
    for function in functions_of(module).values():
        seen = set()
        for node in ast.walk(function):
            if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call):
                continue
            called = node.exc.func
            if isinstance(called, ast.Name) and called.id in REJECTIONS:
                reason = text_of(node.exc.args[0])
                if reason and reason not in seen:
                    seen.add(reason)
                    yield Rule(module, function, called.id, reason)


def text_of(node: ast.expr) -> str:
    """A string, with `...` where it has a value in it; nothing if it is something else."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(
            text_of(part) if isinstance(part, ast.Constant) else "..." for part in node.values
        )
    return ""


@cache
def functions_of(module: str) -> Mapping[str, ast.FunctionDef]:
    """All functions of a module of ours by name, methods too."""
    tree = ast.parse((SOURCE / module).read_text())
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def script_rows() -> Iterator[tuple[str, ...]]:
    """A row for each ScriptError that is ever raised."""
    errors = ast.parse((SOURCE / "consensus/script/errors.py").read_text())
    enum = next(n for n in errors.body if isinstance(n, ast.ClassDef) and n.name == "ScriptError")
    raised = script_errors_raised()
    for node in enum.body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        name = node.targets[0].id
        if name in {"OK", "UNKNOWN_ERROR"}:
            continue
        places = "<br>".join(place(*where) for where in raised[name])
        origin = ", ".join(f"BIP{bip}" for bip in ORIGINS_OF_ERRORS.get(name, ()))
        test = test_of(name, SCRIPT_ERRORS)
        yield str(ast.literal_eval(node.value)), f"`{name}`", origin, places, test


def script_errors_raised() -> Mapping[str, list[tuple[str, str]]]:
    """By name, the functions that speak of each ScriptError."""
    places: dict[str, list[tuple[str, str]]] = {}
    for path in sorted((SOURCE / "consensus/script").rglob("*.py")):
        module = path.relative_to(SOURCE).as_posix()
        for name, function in functions_of(module).items():
            for mentioned in script_errors_in(function):
                where = (module, name)
                if where not in places.setdefault(mentioned, []):
                    places[mentioned].append(where)
    return places


def script_errors_in(tree: ast.AST) -> Iterator[str]:
    """The names in `ScriptError.NAME`."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "ScriptError"
        ):
            yield node.attr


class Test(NamedTuple):
    """A test, and the words in it: strings, names and attributes."""

    id: str
    own: frozenset[str]  # in its body and its decorators
    lent: frozenset[str]  # in what it uses of its module, too


def home_of(module: str) -> str:
    """How the files begin that a module's own tests are in."""
    folder, _, name = module.removesuffix(".py").rpartition("/")
    return f"tests/unit/{folder}/test_{name}"


def test_of(word: str, home: str) -> str:
    """The test that speaks of a reason, an error or a function. Raises LookupError for none.

    Rather one from home, rather one that says it itself.
    """

    def rank(test: Test) -> tuple[bool, bool, bool]:
        is_elsewhere = not test.id.startswith(home)
        return is_elsewhere, "of_several" in test.id, not speaks_of(test.own, word)

    candidates = [test for test in all_tests() if speaks_of(test.lent, word)]
    if not candidates:
        raise LookupError(f"no test speaks of {word}")
    return f"`{min(candidates, key=rank).id}`"


def speaks_of(words: frozenset[str], word: str) -> bool:
    """Whether a word is among them, or, with its parenthesis left open, begins one."""
    if word.endswith("("):
        return any(candidate.startswith(word) for candidate in words)
    return word in words


@cache
def all_tests() -> tuple[Test, ...]:
    """Those of the unit folders first, in the order of their files."""
    order = ["unit", "vectors", "properties", "simulation"]
    paths = sorted(TESTS.rglob("test_*.py"), key=lambda path: path.relative_to(TESTS).parts)
    paths = [path for path in paths if path.relative_to(TESTS).parts[0] in order]
    paths.sort(key=lambda path: order.index(path.relative_to(TESTS).parts[0]))
    return tuple(test for path in paths for test in tests_in(path))


def tests_in(path: Path) -> Iterator[Test]:
    """Of one file."""
    tree = ast.parse(path.read_text())
    lent: dict[str, frozenset[str]] = {}
    for node in tree.body:
        names: list[str] = []
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        lent |= dict.fromkeys(names, words_in(node))
    for name, own in lent.items():
        if name.startswith("test_"):
            everything = own.union(*(lent[word] for word in own if word in lent))
            yield Test(f"{path.relative_to(TESTS.parent).as_posix()}::{name}", own, everything)


def words_in(tree: ast.AST) -> frozenset[str]:
    """Strings, names and attributes."""
    words = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words.add(node.value)
        elif isinstance(node, ast.Name):
            words.add(node.id)
        elif isinstance(node, ast.Attribute):
            words.add(node.attr)
    return frozenset(words)


if __name__ == "__main__":
    sys.exit(main())
