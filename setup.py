"""What pyproject.toml can't say: a C module that may fail to build, and Python that is compiled.

The module is optional. Without a compiler, or without Python's headers, the install goes on and
`drystone.kernel` searches in pure Python.

With DRYSTONE_COMPILE=1, mypyc makes machine code of the modules that a network in virtual time
spends its time in. `make fast` does that: tools/compile.py.
"""

import os
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

IS_COMPILED = os.environ.get("DRYSTONE_COMPILE") == "1"

# The stable ABI of CPython 3.11: one build serves every later version. Free-threaded builds have
# no stable ABI yet, and mypyc knows none, so they get an ordinary one.
ABI3 = not sysconfig.get_config_var("Py_GIL_DISABLED")

# Compiled classes can't be inherited from, or patched. So the stores and the networks are not among
# these; nor are modules of nothing but dataclasses, which mypyc does not make faster.
COMPILED = {
    "core": "chance link memo record streams time",
    "primitives": "codec hashes",
    "consensus": "header pow",
    "sim": "streams world",
    "p2p": "compact download framing gossip headers liveness peer recent relay requests results",
    "p2p/messages": "compact",
    "node": "addresses alarms announcing blocks connection dialling events fee_filter headers "
    "initial_download miner node partial serving sharing transactions turn",
    "chain": "bases chainstate coins findings outcomes recent tree",
    "mempool": "chainview contents minimum_fee orphans pool",
    "network": "virtual_node",
}


def compiled() -> list[Extension]:
    """The modules that mypyc makes."""
    from mypyc.build import mypycify  # noqa: PLC0415  comes with mypy

    paths = [
        f"src/drystone/{folder}/{name}.py"
        for folder, names in COMPILED.items()
        for name in names.split()
    ]
    modules: list[Extension] = mypycify(["--strict", *paths], opt_level="2")
    return modules


class BuildKernel(build_ext):  # type: ignore[misc]  # setuptools has no types
    """Forgets its former result first: one of older source must not outlive a failed compile."""

    def run(self) -> None:
        """Build into build/lib, from where an editable install copies it into src/."""
        for root in [self.build_lib, "src"] if self.inplace else [self.build_lib]:
            for former in Path(root, "drystone", "kernel").glob("_native.*"):
                if former.suffix in {".so", ".pyd"}:
                    former.unlink()
        super().run()


setup(
    cmdclass={"build_ext": BuildKernel},
    ext_modules=[
        Extension(
            "drystone.kernel._native",
            sources=["src/drystone/kernel/_native.c"],
            define_macros=[("Py_LIMITED_API", "0x030B0000")] if ABI3 else [],
            # Pythons are often built with -g, which makes the module four times as big.
            extra_compile_args=["-g0", "-pthread"] if os.name == "posix" else [],
            extra_link_args=["-pthread"] if os.name == "posix" else [],
            py_limited_api=ABI3,
            optional=True,
        ),
        *(compiled() if IS_COMPILED else []),
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if ABI3 and not IS_COMPILED else {},
)
