"""Scripts to run outside of any real transaction."""

from dataclasses import dataclass, field

from drystone.consensus.script.checker import InputChecker
from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.consensus.script.flags import Flags
from drystone.consensus.script.interpreter import run
from drystone.consensus.script.machine import Machine, SigVersion, Tapscript
from drystone.consensus.script.sighash import SignatureHashes
from drystone.consensus.verifier import INLINE, Verifier
from drystone.primitives.transaction import NULL_OUTPOINT, Transaction, TxIn, TxOut
from tests.support.vectors import assemble

SPENDING = Transaction(2, (TxIn(NULL_OUTPOINT),), (TxOut(0, b""),))


@dataclass
class Run:
    """A script given as vectors write them, and what it starts from."""

    script: str | bytes
    stack: list[bytes] = field(default_factory=list)
    flags: Flags = Flags.NONE
    sig_version: SigVersion = SigVersion.BASE
    tx: Transaction = SPENDING
    weight_left: int = 1000
    verifier: Verifier = INLINE

    def machine(self) -> Machine:
        """Ready to run."""
        script = self.script if isinstance(self.script, bytes) else assemble(self.script)
        hashes = SignatureHashes(self.tx, [TxOut(0, b"")])
        is_tapscript = self.sig_version is SigVersion.TAPSCRIPT
        return Machine(
            script,
            list(self.stack),
            self.flags,
            InputChecker(hashes, 0, self.verifier),
            sig_version=self.sig_version,
            tapscript=Tapscript(bytes(32), None, self.weight_left) if is_tapscript else None,
        )

    def outcome(self) -> ScriptError:
        """How it ends."""
        try:
            run(self.machine())
        except ScriptInvalid as invalid:
            return invalid.error
        return ScriptError.OK

    def result(self) -> list[bytes]:
        """The stack that it leaves."""
        vm = self.machine()
        run(vm)
        return vm.stack


def stack_of(text: str) -> list[bytes]:
    """The stack that a script of pushes leaves."""
    return Run(text).result()
