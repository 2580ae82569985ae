"""The one thing pyproject.toml can't say: a C module that may fail to build.

The module is optional. Without a compiler, or without Python's headers, the install goes on and
`drystone.kernel` searches in pure Python.
"""

import sysconfig

from setuptools import Extension, setup

# The stable ABI of CPython 3.11: one build serves every later version. Free-threaded builds have
# no stable ABI yet, so they get an ordinary one.
ABI3 = not sysconfig.get_config_var("Py_GIL_DISABLED")

setup(
    ext_modules=[
        Extension(
            "drystone.kernel._native",
            sources=["src/drystone/kernel/_native.c"],
            define_macros=[("Py_LIMITED_API", "0x030B0000")] if ABI3 else [],
            py_limited_api=ABI3,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if ABI3 else {},
)
