# Every verb sets up what it needs into .venv, so any of them can be the first.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

BIN := .venv/bin
INSTALLED := .venv/.installed
# Tests run in this many processes at once; 0 is one after the other, in this process.
WORKERS ?= 0
# More words for the command behind a verb: make test ARGS='-k raft', make up ARGS='--replicas 5'.
ARGS ?=
PYTEST := $(BIN)/python -m pytest -n $(WORKERS)

.PHONY: help setup up test test-slow check format bench clean docs lock proto transcripts wheel

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## make .venv and install all that is pinned in requirements.lock

up: $(INSTALLED) ## start a secured cluster of three replicas here; data under ./.libelli
	$(BIN)/libelli up $(ARGS)

test: check ## check, then all tests but the slow ones (WORKERS=2: two at once)
	$(PYTEST) --durations=10 --durations-min=1 $(ARGS)

test-slow: check ## check, then all tests
	$(PYTEST) --slow --durations=20 --durations-min=1 $(ARGS)

check: $(INSTALLED) ## lint, formatting and types; changes nothing
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet || { $(BIN)/ruff format --diff --quiet; echo "run: make format" >&2; exit 1; }
	$(BIN)/mypy

format: $(INSTALLED) ## put the sources into shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(INSTALLED) ## measure Libelli beside etcd and PySyncObj on this machine
	./scripts/etcd.sh
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m libelli.lab.bench $(ARGS)

wheel: $(INSTALLED) ## build a wheel into dist/
	$(BIN)/python -m build --no-isolation --wheel --outdir dist

proto: $(INSTALLED) ## generate the gRPC modules from the .proto files
	./scripts/proto.sh

transcripts: $(INSTALLED) ## rewrite tests/transcripts from what the commands say now; read the diff
	$(BIN)/python -m pytest tests/transcripts --rewrite $(ARGS)

docs: $(INSTALLED) ## rewrite what docs/commands.md says of each command from the program itself
	$(BIN)/python -m tests.cli.commands_page

lock: $(INSTALLED) ## pin what pyproject.toml asks for (ARGS=--upgrade: in the newest versions)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes \
	    --no-header --output-file requirements.lock $(ARGS) pyproject.toml

clean: ## remove what the other verbs made; the data under .libelli stays
	rm -rf .venv dist build bench-results .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): requirements.lock pyproject.toml scripts/setup.sh
	./scripts/setup.sh
	@touch $@
