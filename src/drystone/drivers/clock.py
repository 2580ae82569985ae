"""The system's clock."""

import time

from drystone.core.time import Time


def system_clock() -> Time:
    """Now, on the machine's monotonic and unix clocks."""
    return Time(time.monotonic_ns(), int(time.time()))
