# Two commands matter from a fresh clone: `make demo` and `make test`. Both install what they need by themselves.
# ARGS is passed on: make demo ARGS=--once, make test ARGS="-k grants -x".
# PYTHON names the interpreter, VENV the environment's directory, WORKERS the number of test processes.

.POSIX:
.SUFFIXES:
.DEFAULT_GOAL := help

ARGS ?=
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
# One more than there are cores: a fifth of the time a test waits for a process, a provider or a limit to run out.
WORKERS ?= $(shell expr $(CORES) + 1)
export PYTHON VENV

# Each recipe line is one shell: prepare the environment, then run in it. Caches stay inside the environment, so a
# checkout that belongs to another user works too. Compiled Python is kept whatever the machine's settings say: each
# process that starts without it takes three times as long to begin.
BYTECODE := export PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX="$$venv/.cache/pycache";
IN_RUNTIME := venv=$$(scripts/environment runtime) || exit 1; $(BYTECODE)
IN_BENCH := venv=$$(scripts/environment bench) || exit 1; $(BYTECODE)
CACHES := $(BYTECODE) export MYPY_CACHE_DIR="$$venv/.cache/mypy" RUFF_CACHE_DIR="$$venv/.cache/ruff" \
	HYPOTHESIS_STORAGE_DIRECTORY="$$venv/.cache/hypothesis";
IN_TEST := venv=$$(scripts/environment test) || exit 1; $(CACHES)
IN_LINT := venv=$$(scripts/environment lint) || exit 1; $(CACHES)
IN_DEPLOY := venv=$$(scripts/environment deploy) || exit 1; $(CACHES)
IN_MUTATION := venv=$$(scripts/environment mutation) || exit 1; $(CACHES)
PROOFS := tests/attack tests/bench_checks tests/chaos tests/cli/test_demo.py tests/conformance/test_twins_of_imported_profiles.py \
	tests/console/test_every_page.py tests/deploy tests/docs tests/guides tests/high_availability tests/key_proofs tests/race tests/rotation_load tests/upgrades
PYTEST := "$$venv/bin/python" -m pytest -o cache_dir="$$venv/.cache/pytest"

.PHONY: help demo test proofs lint format types imports docs-check conformance attack key-proofs ha-check restore-drill rotation-check deploy-check upgrade-check \
	bench-check check bench release soak moving profile screenshots plots mutate lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

demo: ## Install, start Keyrack with its simulator and play the story (ARGS=--verbose shows every call, --once ends after it)
	@$(IN_RUNTIME) exec "$$venv/bin/keyrack" demo $(ARGS)

test: ## Install and run all tests but those of `make proofs`
	@$(IN_TEST) exec scripts/in-memory $(PYTEST) -n $(WORKERS) $(ARGS)

proofs: ## Install and run what `make test` leaves out: whole servers, killed processes, guides, attacks, every page
	@$(IN_DEPLOY) exec $(PYTEST) -n $(WORKERS) $(PROOFS) $(ARGS)

lint: ## Check style and format
	@$(IN_LINT) "$$venv/bin/ruff" check . && "$$venv/bin/ruff" format --check .

format: ## Put the code into the project's format
	@$(IN_LINT) "$$venv/bin/ruff" check --fix . ; "$$venv/bin/ruff" format .

types: ## Check types, tests included
	@$(IN_LINT) "$$venv/bin/mypy"

imports: ## Check that imports go downward only
	@$(IN_LINT) "$$venv/bin/lint-imports" --cache-dir "$$venv/.cache/import-linter"

docs-check: ## Hold the documentation against the code
	@$(IN_TEST) exec $(PYTEST) -n 2 tests/docs $(ARGS)

conformance: ## Hold every entry of other projects' catalogues against its twin, one or two minutes
	@$(IN_TEST) exec $(PYTEST) -n 2 tests/conformance/test_twins_of_imported_profiles.py $(ARGS)

attack: ## Attack a Keyrack: hostile addresses, requests, names, and whatever schemathesis makes up
	@$(IN_TEST) exec $(PYTEST) -n 2 tests/attack $(ARGS)

ha-check: ## Lose a primary, go through a pooler, come back from a backup: on real servers, about a minute
	@$(IN_TEST) exec $(PYTEST) tests/high_availability $(ARGS)

restore-drill: ## Lose a database, restore it from a backup, and say which grants need a look
	@$(IN_TEST) exec $(PYTEST) tests/high_availability/test_restore.py -s $(ARGS)

rotation-check: ## Change clients' secrets at providers under load, on both databases, about a minute
	@$(IN_TEST) exec $(PYTEST) tests/rotation_load $(ARGS)

key-proofs: ## Prove the exchange of keys under load, and key services against AWS's, Google's and OpenBao's interfaces
	@$(IN_TEST) exec $(PYTEST) -n 2 tests/key_proofs $(ARGS)

bench-check: ## Check that the benchmark still measures what it says (no figure is judged)
	@$(IN_TEST) exec $(PYTEST) tests/bench_checks $(ARGS)

deploy-check: ## Judge deploy/ by the programs that read it, and start the wheel of an image from nothing
	@$(IN_DEPLOY) exec $(PYTEST) -n 2 tests/deploy $(ARGS)

release: ## Write wheel, source distribution, bill of materials and checksums of the last commit to dist/
	@$(IN_DEPLOY) exec scripts/release "$$venv" $(ARGS)

upgrade-check: ## Run the version before the newest migration and this one on one PostgreSQL under load
	@$(IN_TEST) exec $(PYTEST) tests/upgrades $(ARGS)

check: lint types imports proofs test ## Everything CI runs

bench: ## Measure, beside the peers that it installs; figures go to bench/README.md by hand
	@$(IN_BENCH) exec "$$venv/bin/python" -m bench $(ARGS)

soak: ## Load a server for an hour and see that its memory stays flat (ARGS="--minutes 10")
	@$(IN_BENCH) exec "$$venv/bin/python" -m bench.soak $(ARGS)

moving: ## Import, cut over and export many grants and see that memory stays flat (ARGS="--grants 10000 1000000")
	@$(IN_BENCH) exec "$$venv/bin/python" -m bench.moving $(ARGS)

profile: ## Show where the time of a request goes, by room (ARGS="--kind write")
	@$(IN_BENCH) exec "$$venv/bin/python" -m bench.profile $(ARGS)

screenshots: ## Make the pictures of the documentation, docs/pictures, from the demo's story
	@$(IN_TEST) exec "$$venv/bin/python" -m pictures $(ARGS)

plots: ## Measure and draw bench/plots anew, about a quarter of an hour (ARGS="--seconds 0.2")
	@$(IN_BENCH) exec "$$venv/bin/python" -m bench.plots $(ARGS)

mutate: ## Count the faults that tests notice (ARGS="--room oauth --seed 2"; CONTRIBUTING.md says more)
	@$(IN_MUTATION) exec "$$venv/bin/python" -m mutation $(ARGS)

lock: ## Renew the pinned, hashed requirements (ARGS=--upgrade takes newer versions)
	@$(IN_LINT) scripts/lock "$$venv" $(ARGS)

clean: ## Remove the environment and every cache
	@rm -rf "$${VENV:-.venv}" build dist .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
