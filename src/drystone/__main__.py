"""`python -m drystone`, the same as `drystone`."""

from drystone.cli.main import main

main()
