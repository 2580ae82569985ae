"""What all tests share."""

from hypothesis import settings

# Machines are noisy: what is too slow is told by pytest's timeout, not by one example's time.
settings.register_profile("drystone", deadline=None, print_blob=True)
settings.load_profile("drystone")
