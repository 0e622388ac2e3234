# Spotlane: every target sets up first; `make demo` runs the main job, `make test` the tests.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
SOURCES := audit automation benchmarks components demo domain languagehost localcloud policies provider spotlane stacks tests tools

.PHONY: help setup demo test test-console tutorial docs check bench soak clean prerequisites engine format goldens yaml-host

help: ## What there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

prerequisites:
	@$(PYTHON) tools/prerequisites.py

# The three long parts have nothing to do with each other: side by side.
setup: prerequisites ## Everything that the other targets need; idempotent
	@$(MAKE) -s -j3 $(STAMPS)/python $(STAMPS)/node $(STAMPS)/engine
	@$(MAKE) -s $(STAMPS)/edge

$(BIN)/python:
	@echo "setup: Python environment"
	@$(PYTHON) -m venv $(VENV)

# Compiled here, and of the provider SDKs only what the stacks use: where the environment forbids Python to write bytecode, every start would compile it again.
$(STAMPS)/python: requirements.lock pyproject.toml | $(BIN)/python
	@echo "setup: Python packages"
	@$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q -x '/pulumi_(aws|azure_native|gcp|cloudflare)/' $(VENV)/lib >/dev/null || true
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -q $(SOURCES) >/dev/null
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -c 'from languagehost.zygote import SDKS, load, modules_of; all(map(load, modules_of(list(SDKS))))'
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/node: package-lock.json package.json
	@echo "setup: Node packages"
	@npm ci --no-audit --no-fund --loglevel=error
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/engine: tools/engine/go.mod tools/engine/resolve.py
	@echo "setup: Pulumi engine"
	@$(PYTHON) tools/engine/resolve.py
	@mkdir -p $(STAMPS) && touch $@

EDGE := $(shell find components/edge -type f -not -path '*/dist/*' -not -path '*/__pycache__/*' 2>/dev/null)
$(STAMPS)/edge: $(EDGE) $(STAMPS)/node
	@echo "setup: the edge's Workers"
	@npm run --silent build
	@mkdir -p $(STAMPS) && touch $@

# Before the setup, which counts in the time to the first URL.
demo: export SPOTLANE_DEMO_ASKED_AT := $(shell date +%s)
demo: setup ## The main job: moves under live traffic, with a report
	@$(BIN)/spotlane demo

# A whole platform under traffic has the machine to itself; the rest shares it.
test: setup ## All tests
	@$(BIN)/python -m pytest -n 2 --dist worksteal --ignore=tests/e2e
	@$(BIN)/python -m pytest tests/e2e
	@npx --no-install vitest run

test-console: setup ## The web console in a real Chromium
	@$(BIN)/python -m pytest tests/e2e/test_console.py
	@npx --no-install vitest run --project console

tutorial: setup ## docs/tutorial.md, command by command, from nothing to a move
	@$(BIN)/python -m pytest tests/docs/test_tutorial.py -m 'soak or not soak'

docs: setup ## The site, into dist/site
	@# Not --quiet: it would hide the warnings from --strict, too.
	@$(BIN)/python tools/docs/generate.py --check
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

check: setup ## Lint, types, import directions, locks
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@npx --no-install biome check components/edge localcloud/edge clients benchmarks
	@npm run --silent typecheck
	@$(BIN)/python tools/wire/generate.py --check
	@$(BIN)/python tools/cli/generate.py --check
	@$(BIN)/python tools/sdk/generate.py --check
	@$(BIN)/python tools/docs/generate.py --check
	@$(BIN)/python tools/provider/generate.py --check
	@$(BIN)/python tools/locks.py

bench: setup ## Every benchmark, as tables
	@$(BIN)/python -m benchmarks all

soak: setup ## Long campaigns
	@$(BIN)/python -m pytest -m soak
	@$(BIN)/python -m pytest -m hypothesis --hypothesis-profile=search

goldens: setup ## The command line's goldens and published schemas anew, to be read in the diff
	@$(BIN)/python tools/cli/generate.py
	@$(BIN)/python -m pytest -p no:xdist tests/spotlane/test_cli_goldens.py --regenerate

yaml-host: $(STAMPS)/engine ## The language host of YAML programs beside the engine, where it isn't there: a minute with Go
	@directory=$$(dirname "$$($(PYTHON) tools/engine/resolve.py)"); test -x "$$directory/pulumi-language-yaml" || \
		(cd tools/yamlhost && go build -buildvcs=false -ldflags "-s -w" -o "$$directory/pulumi-language-yaml" github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml)

format: setup ## Formats the sources
	@$(BIN)/ruff format $(SOURCES)
	@npx --no-install biome check --write components/edge localcloud/edge clients benchmarks

clean: ## Stops the local cloud and removes what was built
	@test ! -x $(BIN)/python || $(BIN)/python -m localcloud down --purge 2>/dev/null || true
	@rm -rf $(VENV) node_modules components/edge/workers/dist components/edge/console/dist dist .spotlane .mypy_cache .ruff_cache .pytest_cache .hypothesis
