.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
JOBS ?= 2
LOCK_ENV := build/lock
LOCK := $(LOCK_ENV)/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url pyproject.toml

.PHONY: help demo test check model faults fuzz bench lock clean

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# One stamp for the whole environment. A half-made one is started afresh only as far as pip needs.
.venv/.installed: pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

demo: .venv/.installed ## rotate one password on a disposable SSH target, and watch
	@$(BIN)/python -m tests.demo

test: .venv/.installed ## run the tests, with the real servers that this machine can give
	tests/peers/install
	$(BIN)/pytest -n $(JOBS) --dist loadfile --tb=short tests/unit tests/peers tests/acceptance tests/faults

check: .venv/.installed ## lint, format, types, import arrows, indexes
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m tests.check_indexes

model: .venv/.installed ## check every interleaving of the change protocol
	$(BIN)/python -m tests.model --whole

faults: .venv/.installed ## kill processes at ten thousand points
	$(BIN)/python -m tests.faults.kills --rounds 10000
	$(BIN)/python -m tests.faults.storm --kills 500
	$(BIN)/python -m tests.faults.outage

fuzz: .venv/.installed ## throw random templates and values at every grammar
	$(BIN)/python -m tests.fuzz

bench: .venv/.installed ## measure what it costs
	$(BIN)/python -m bench

lock: ## pin the dependencies anew
	$(PYTHON) -m venv $(LOCK_ENV)
	$(LOCK_ENV)/bin/pip --disable-pip-version-check --quiet install uv
	$(LOCK) --extra dev -o $(LOCK_ENV)/all
	$(LOCK) -c $(LOCK_ENV)/all -o $(LOCK_ENV)/runtime
	{ echo '# Everything Keyturn needs to run, test, check and build; pinned and hashed for Python 3.11. Regenerate: make lock'; \
	  cat $(LOCK_ENV)/all; } > requirements.lock
	{ echo '# What Keyturn needs to run; the same pins as requirements.lock. Regenerate: make lock'; \
	  cat $(LOCK_ENV)/runtime; } > requirements-runtime.lock

clean: ## remove whatever was made
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
