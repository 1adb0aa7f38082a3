# Two commands do everything: `make run` starts the product, `make test` tests it. Both need Python 3.11+ and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help run demo test lint audit format bench lock browser

help: ## say what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/'

$(VENV)/.for-run: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with PYTHON=...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.for-ci: requirements-dev.txt $(VENV)/.for-run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

run: $(VENV)/.for-run ## start the bridge, the bundled Flowdock server and the worker (DEMO=0: empty)
	@$(BIN)/python -m launcher

demo: $(VENV)/.for-run ## recorded days and a poll into the running demonstration (SERVICE=gitlab CORPUS=folder: other payloads)
	@$(BIN)/python -m demo

# pytest-django holds one settings module a process, so each project's tests are a run of their own.
test: $(VENV)/.for-run ## run the tests
	$(PYTEST) tests/integrations tests/polls --ds=tests.integrations.settings -n auto
	$(PYTEST) tests/flowdock_server --ds=tests.flowdock_server.settings -n auto
	$(PYTEST) tests/hosting -p no:django
	$(PYTEST) tests/loop/test_loop.py tests/loop/test_scopes.py tests/loop/test_seams.py -p no:django -p no:randomly

browser: $(VENV)/.for-ci ## click through everything in headless Chromium, keep screenshots in artefacts/
	$(PYTEST) tests/browser -p no:django -p no:randomly

lint: $(VENV)/.for-ci ## style, types, walls between the parts, settings for production
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file flowdock_server/mypy.ini
	$(BIN)/lint-imports
	$(BIN)/python -m launcher.deploycheck

audit: $(VENV)/.for-ci ## look every locked dependency up in the published advisories
	@$(BIN)/python -m launcher.audit

format: $(VENV)/.for-ci ## set the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.for-run ## measure what the product claims; the figures go to bench/RESULTS.md
	$(BIN)/python -m bench

lock: $(VENV)/.for-ci ## compile the requirements*.in files anew
	@for name in requirements-prod requirements requirements-dev; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --no-header --upgrade $$name.in --output-file $$name.txt || exit 1; \
	done
