# `make up` shows the network, `make test` proves it. Both need nothing but Python 3.11 or later:
# tools/bootstrap.sh makes .venv the first time, and again when what it was made from has changed.
#
#   make up ARGS="--plain"         passes arguments on (to drystone, or to pytest with `make test`)
#   make up PYTHON=python3.13      makes .venv with that Python

# An advertisement that mkdocs-material would print; our own pages' warnings stay.
QUIET = NO_MKDOCS_2_WARNING=1

.PHONY: help up test fast interop lint docs bench fuzz kill soak hostile picture history clean

help:
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

up: ## run a Bitcoin network here, live in this terminal
	@sh tools/bootstrap.sh run
	@exec .venv/bin/drystone up $(ARGS)

test: ## run the tests
	@sh tools/bootstrap.sh test
	@exec .venv/bin/python -m pytest $(ARGS)

fast: ## compile into .venv-fast what simulations spend their time in
	@sh tools/bootstrap.sh run
	@exec .venv/bin/python tools/compile.py

interop: ## install another full node, bcoin, by npm, and run the tests with it
	@sh tools/bootstrap.sh test
	@.venv/bin/python tools/install_bcoin.py
	@exec .venv/bin/python -m pytest tests/interop/test_bcoin.py $(ARGS)

lint: ## check format, style, types, imports and docs, as CI does
	@sh tools/bootstrap.sh lint
	@status=0; for check in "ruff format --check ." "ruff check ." mypy "lint-imports --no-logo" \
		"mkdocs build --strict"; do \
		echo "$$check"; $(QUIET) .venv/bin/$$check || status=1; done; exit $$status

docs: ## build the documentation into site/
	@sh tools/bootstrap.sh docs
	$(QUIET) .venv/bin/mkdocs build --strict

# pytest ends with 5 where no benchmark is chosen.
bench: ## measure: tests/benchmarks, then hashes per second
	@sh tools/bootstrap.sh test
	.venv/bin/python -m pytest tests/benchmarks --benchmark-only $(ARGS) || [ $$? -eq 5 ]
	for script in tests/benchmarks/bench_*.py; do .venv/bin/python "$$script" || exit; done
	.venv/bin/drystone bench hash

fuzz: ## let a fuzzer loose on decoders and interpreter (ARGS="--seconds 600")
	@sh tools/bootstrap.sh fuzz
	@exec .venv/bin/python tools/fuzz.py $(ARGS)

kill: ## kill a process that keeps a chain on disk, a thousand times (ARGS="--kills 5000 --seed 2")
	@sh tools/bootstrap.sh test
	@exec .venv/bin/python -m tests.support.kill_campaign $(ARGS)

soak: ## networks in virtual time with all that can go wrong, for an hour (ARGS="--minutes 10")
	@sh tools/bootstrap.sh test
	@exec .venv/bin/python -m tests.support.soak $(ARGS)

hostile: ## attack a live node over TCP in every way we know, for half an hour (ARGS="--minutes 5")
	@sh tools/bootstrap.sh test
	@exec .venv/bin/python -m tests.support.hostile_campaign $(ARGS)

picture: ## draw docs/live-view.svg anew, from a run in virtual time
	@sh tools/bootstrap.sh run
	.venv/bin/python tools/picture.py

history: ## mine the blocks that `local` begins with anew; they come out the same
	@sh tools/bootstrap.sh run
	.venv/bin/python tools/local_history.py

clean: ## remove .venv and everything else that was built, never a tracked file
	rm -rf .venv .venv-fast build dist site src/*.egg-info src/drystone/kernel/_native*.so
	rm -rf .benchmarks .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name .git -prune -o -name __pycache__ -prune -exec rm -rf {} +
