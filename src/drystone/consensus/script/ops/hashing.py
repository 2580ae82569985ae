"""Opcodes that hash."""

from collections.abc import Callable
from hashlib import sha1, sha256

from drystone.consensus.script.machine import Machine, Operation, need
from drystone.crypto.ripemd160 import hash160, ripemd160
from drystone.primitives.hashes import sha256d


def hashing(digest: Callable[[bytes], bytes]) -> Operation:
    """x -> digest(x)."""

    def op_hash(vm: Machine) -> None:
        need(vm, 1)
        vm.stack[-1] = digest(vm.stack[-1])

    return op_hash


op_ripemd160 = hashing(ripemd160)
op_sha1 = hashing(lambda x: sha1(x, usedforsecurity=False).digest())
op_sha256 = hashing(lambda x: sha256(x).digest())
op_hash160 = hashing(hash160)
op_hash256 = hashing(sha256d)
