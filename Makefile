# Every target sets up the environment first, unless that is done already: the name of a stamp file
# has the checksum of the lock files.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCKS := requirements/bootstrap.txt requirements/dev.txt
STAMP := $(VENV)/.stamp-$(shell cat $(LOCKS) pyproject.toml | cksum | tr ' ' '-')
NODE_CLIENT := tests/e2e/node_client
NODE_STAMP := $(NODE_CLIENT)/node_modules/.package-lock.json
NODE_PEER := benchmarks/peers/node
NODE_PEER_STAMP := $(NODE_PEER)/node_modules/.package-lock.json
BUN_PEER := benchmarks/peers/bun
BUN_PEER_STAMP := $(BUN_PEER)/node_modules/.package-lock.json
ROUNDS ?= 5
IDLE_SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help setup run test test-stress test-lowest test-newest test-pythons mutants soak fuzz bench bench-stores bench-hostile bench-check check format snapshots lock clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## Create the virtual environment with the locked dependencies

$(STAMP): $(LOCKS) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed; $(PYTHON) is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes $(LOCKS)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(NODE_STAMP): $(NODE_CLIENT)/package-lock.json
	@if command -v npm >/dev/null; then cd $(NODE_CLIENT) && npm ci --silent --no-audit --no-fund; \
	else echo '*** npm is not installed: the tests with the official JavaScript client will be SKIPPED ***' >&2; fi

$(NODE_PEER_STAMP): $(NODE_PEER)/package-lock.json
	cd $(NODE_PEER) && npm ci --silent --no-audit --no-fund

$(BUN_PEER_STAMP): $(BUN_PEER)/package-lock.json
	@cd $(BUN_PEER) && npm ci --silent --no-audit --no-fund || \
	echo '*** Bun could not be installed: it will be SKIPPED in the benchmarks ***' >&2

run: setup ## Serve the chat with a throwaway key
	DATABASE_URL=$${DATABASE_URL:-sqlite:///chat.db} $(BIN)/socketio-app serve --dev

test: setup $(NODE_STAMP) ## Run all tests, on all processors (COVERAGE=1 also measures branch coverage)
	$(BIN)/pytest -n auto --dist worksteal $(if $(COVERAGE),--cov)

test-stress: setup $(NODE_STAMP) ## Run all tests ROUNDS times (3 by default) while the processors are busy
	$(BIN)/python -m tests.stress $(if $(filter file,$(origin ROUNDS)),3,$(ROUNDS))

test-lowest: setup $(NODE_STAMP) ## Run the tests that depend on other packages with their lowest allowed versions
	$(BIN)/python -m tests.versions lowest

test-newest: setup $(NODE_STAMP) ## The same with the newest versions
	$(BIN)/python -m tests.versions newest

test-pythons: setup $(NODE_STAMP) ## The same with each later Python that is available
	$(BIN)/python -m tests.versions 3.12 3.13 3.14

mutants: setup ## Run mutation tests of domain/ and application/ (an hour; ONLY=socketio_app.domain* selects modules)
	$(BIN)/python -m tests.mutants $(if $(ONLY),"$(ONLY)")

soak: setup $(NODE_STAMP) ## Kill the server under load, a thousand times with each database
	CRASH_ROUNDS=$${CRASH_ROUNDS:-1000} $(BIN)/pytest tests/e2e/test_crashes.py

fuzz: setup ## Run a thousand random scenarios on every path, and send thousands of invalid inputs
	SCENARIOS=$${SCENARIOS:-1000} $(BIN)/pytest tests/e2e/test_paths.py
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-5000} $(BIN)/pytest tests/e2e/test_wire_fuzz.py

bench: setup $(NODE_PEER_STAMP) $(BUN_PEER_STAMP) ## Compare with Node and Bun, and write docs/benchmarks.md (30 minutes; ROUNDS=1 for a quick look)
	$(BIN)/python -m benchmarks --rounds $(ROUNDS) --idle-seconds $(IDLE_SECONDS) $(if $(RECORD),--record)

bench-stores: setup ## Measure each command on stores with a million messages, and update docs/benchmarks.md (10 minutes)
	$(BIN)/python -m benchmarks.large_stores

bench-hostile: setup $(NODE_PEER_STAMP) ## Measure the impact of hostile clients, and write docs/hostile.md (25 minutes)
	$(BIN)/python -m benchmarks.hostile --rounds $(if $(filter 5,$(ROUNDS)),3,$(ROUNDS))

bench-check: setup ## Fail if the chat has lost its lead over plain python-socketio
	$(BIN)/python -m benchmarks.check

check: setup ## Check format, lint, types and import directions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

snapshots: setup ## Update the lists of the wire contract and the public API in docs/contracts/
	$(BIN)/python -m tests.snapshots

format: setup ## Format the code, and fix what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup ## Upgrade the locked dependencies
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --upgrade requirements/bootstrap.in -o requirements/bootstrap.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --upgrade pyproject.toml requirements/build.in --group dev -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --upgrade requirements/mutants.in -c requirements/dev.txt -o requirements/mutants.txt

clean: ## Remove the environments
	rm -rf $(VENV) .venvs $(NODE_CLIENT)/node_modules $(NODE_PEER)/node_modules $(BUN_PEER)/node_modules
