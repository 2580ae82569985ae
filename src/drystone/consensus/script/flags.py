"""Which rules apply to a script: soft forks, and policy that may become one."""

from enum import Flag
from typing import Final


class Flags(Flag):
    """Script verification flags. Core: SCRIPT_VERIFY_*, of version 31, with the same bits.

    Each only forbids: what is valid under more flags is valid under fewer. Blocks know the flags
    of `CONSENSUS`; the others keep the mempool clean of what can be malleated, or of what a later
    soft fork might give a meaning.
    """

    NONE = 0
    P2SH = 1 << 0  # run the script that a hash stands for (BIP16)
    STRICTENC = 1 << 1  # strict DER, defined hash types, no hybrid keys (policy)
    DERSIG = 1 << 2  # strict DER (BIP66)
    LOW_S = 1 << 3  # strict DER, and s at most half the order (BIP62 rule 5, policy)
    NULLDUMMY = 1 << 4  # CHECKMULTISIG's surplus element is empty (BIP147)
    SIGPUSHONLY = 1 << 5  # scriptSigs only push (BIP62 rule 2, policy)
    MINIMALDATA = 1 << 6  # the shortest pushes and numbers (BIP62 rules 3 and 4, policy)
    DISCOURAGE_UPGRADABLE_NOPS = 1 << 7  # no NOP that may get a meaning (policy)
    CLEANSTACK = 1 << 8  # one element remains (BIP62 rule 6, policy); with P2SH and WITNESS
    CHECKLOCKTIMEVERIFY = 1 << 9  # BIP65
    CHECKSEQUENCEVERIFY = 1 << 10  # BIP112
    WITNESS = 1 << 11  # BIP141; with P2SH
    DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM = 1 << 12  # no unknown witness version (policy)
    MINIMALIF = 1 << 13  # IF takes 1 or nothing in v0 scripts (policy; consensus in tapscript)
    NULLFAIL = 1 << 14  # a signature that fails is empty (BIP146, policy)
    WITNESS_PUBKEYTYPE = 1 << 15  # v0 scripts have compressed keys only (policy)
    CONST_SCRIPTCODE = 1 << 16  # legacy scripts sign themselves unaltered (policy)
    TAPROOT = 1 << 17  # BIP341 and 342
    DISCOURAGE_UPGRADABLE_TAPROOT_VERSION = 1 << 18  # no unknown leaf version (policy)
    DISCOURAGE_OP_SUCCESS = 1 << 19  # no opcode that makes all valid (policy)
    DISCOURAGE_UPGRADABLE_PUBKEYTYPE = 1 << 20  # no unknown kind of key in tapscript (policy)

    # Speed shaped this: every opcode asks, and Flag's own answer takes three times as long.
    def __contains__(self, other: "Flags") -> bool:
        """Whether a rule applies; of several, whether all do."""
        return self._value_ & other._value_ == other._value_


CONSENSUS: Final = (
    Flags.P2SH
    | Flags.DERSIG
    | Flags.NULLDUMMY
    | Flags.CHECKLOCKTIMEVERIFY
    | Flags.CHECKSEQUENCEVERIFY
    | Flags.WITNESS
    | Flags.TAPROOT
)
"""What a block's scripts obey once all soft forks are active. Core: MANDATORY_SCRIPT_VERIFY_FLAGS.

Which of them a block's height asks for is said by the deployments.
"""

STANDARD: Final = (
    CONSENSUS
    | Flags.STRICTENC
    | Flags.MINIMALDATA
    | Flags.DISCOURAGE_UPGRADABLE_NOPS
    | Flags.CLEANSTACK
    | Flags.MINIMALIF
    | Flags.NULLFAIL
    | Flags.LOW_S
    | Flags.DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM
    | Flags.WITNESS_PUBKEYTYPE
    | Flags.CONST_SCRIPTCODE
    | Flags.DISCOURAGE_UPGRADABLE_TAPROOT_VERSION
    | Flags.DISCOURAGE_OP_SUCCESS
    | Flags.DISCOURAGE_UPGRADABLE_PUBKEYTYPE
)
"""What a transaction obeys to be relayed. Core: STANDARD_SCRIPT_VERIFY_FLAGS."""
