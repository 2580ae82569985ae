"""The one native module: SHA-256d over many headers, without the interpreter's lock."""

from drystone.kernel.layout import BITCOIN, CLASSIC, Layout, layout_of
from drystone.kernel.nonces import (
    Cancel,
    VariantUnavailable,
    chosen_variant,
    native_available,
    search,
    variants,
)

__all__ = [
    "BITCOIN",
    "CLASSIC",
    "Cancel",
    "Layout",
    "VariantUnavailable",
    "chosen_variant",
    "layout_of",
    "native_available",
    "search",
    "variants",
]
