# `make run` starts the product, `make test` tests it. Both only need Python 3.11+.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help run demo test lint audit format bench lock browser soak

help: ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/'

$(VENV)/.for-run: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed. Choose one with PYTHON=...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.for-ci: requirements-dev.txt $(VENV)/.for-run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

run: $(VENV)/.for-run ## start the bridge, the bundled Flowdock server and the worker (DEMO=0: without demo data)
	@$(BIN)/python -m launcher

demo: $(VENV)/.for-run ## replay recorded days and run a poll in the running product (SERVICE=gitlab CORPUS=folder: other payloads)
	@$(BIN)/python -m demo

test: $(VENV)/.for-run ## run the tests
	@$(BIN)/python -m tests

browser: $(VENV)/.for-ci ## test the pages in headless Chromium; screenshots go to artifacts/
	$(PYTEST) tests/browser -p no:django -p no:randomly

soak: $(VENV)/.for-run ## kill processes and database connections under load (SOAK=minutes; TEST_POSTGRESQL_URL=... adds PostgreSQL)
	$(PYTEST) tests/faults -p no:django -p no:randomly -s

lint: $(VENV)/.for-ci ## check style, types, import rules and the settings for production
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file flowdock_server/mypy.ini
	$(BIN)/lint-imports
	$(BIN)/python -m launcher.deploycheck

audit: $(VENV)/.for-ci ## check every locked dependency against the published advisories
	@$(BIN)/python -m launcher.audit

format: $(VENV)/.for-ci ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.for-run ## measure the bridge beside its limits; the results go to bench/RESULTS.md
	$(BIN)/python -m bench

lock: $(VENV)/.for-ci ## update the requirements*.txt files from the requirements*.in files
	@for name in requirements-prod requirements requirements-dev; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --no-header --upgrade $$name.in --output-file $$name.txt || exit 1; \
	done
