# Every target does its own set-up; nothing but Python (3.11 or newer), make and a shell is needed.
# Paths are relative on purpose: the folder of the checkout may have any name.

PYTHON ?= python3
OUT    ?= runs/demo
ARGS   ?=

VENV    := .venv
BIN     := $(VENV)/bin
# Written when the installation is complete; holds the folder it was made in, because an environment
# does not survive a move of its folder.
STAMP   := $(VENV)/.installed
SOURCES := pyproject.toml requirements/constraints.txt

# The packages of the JavaScript clients, which their tests run; npm comes with the development tools.
CLIENTS := $(patsubst %,%/node_modules/.package-lock.json,export/clients/node export/clients/web)

# One process per core; the tests of a file share what they made, so they stay together. One that crashes
# ends the run, which would wait for ever for the tests that it had left.
PARALLEL := -n auto --dist loadfile --max-worker-restart=0

# A second environment, with the oldest version of every dependency that pyproject.toml allows.
OLDEST := .venv-oldest

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-slow test-oldest lint types clean moved

help: ## show this list
	@echo "usage: make TARGET [PYTHON=python3.12] [OUT=folder] [ARGS='...']"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1 \2/p' Makefile | \
	  while read -r name text; do printf '  %-12s %s\n' "$$name" "$$text"; done

setup: $(STAMP) $(CLIENTS) ## make .venv and install the package with its development tools into it

demo: $(STAMP) ## train, search, export and publish on real images: OUT=runs/demo, more options in ARGS
	$(BIN)/anas demo --out "$(OUT)" $(ARGS)

test: lint types $(CLIENTS) ## lint, types and all tests but the slow ones
	$(BIN)/python -m pytest -m "not slow" $(PARALLEL) $(ARGS)

test-slow: $(STAMP) $(CLIENTS) ## the slow tests: processes killed, damaged files, printed commands, browsers, the wheel
	$(BIN)/python -m pytest -m slow $(PARALLEL) $(ARGS)

test-oldest: $(OLDEST)/.installed $(CLIENTS) ## the tests of `make test` with the oldest dependencies allowed
	$(OLDEST)/bin/python -m pytest -m "not slow" -W default $(PARALLEL) $(ARGS)

lint: $(STAMP) ## ruff: format and rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP) ## mypy, strict
	$(BIN)/mypy

clean: ## remove caches and built packages; .venv and runs stay
	rm -rf dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name .venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

ifneq "$(shell cat $(STAMP) 2>/dev/null)" "$(CURDIR)"
$(STAMP): moved
endif

$(STAMP): $(SOURCES)
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "make: no program $(PYTHON); install Python 3.11 or newer, or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; \
	  exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: anas-zoo needs Python 3.11 or newer, and $(PYTHON) is $$("$(PYTHON)" --version 2>&1); name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; \
	  exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "make: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu: sudo apt install python3-venv" >&2; \
	  exit 1; }
	@if [ -f $(STAMP) ] && [ "$$(cat $(STAMP))" != "$(CURDIR)" ]; then rm -rf $(VENV); fi
	@rm -f $(STAMP)
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "making $(VENV)"; "$(PYTHON)" -m venv --clear $(VENV); }
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --disable-pip-version-check -c requirements/constraints.txt -e ".[all]" --group dev
	@printf '%s\n' "$(CURDIR)" > $(STAMP)

$(OLDEST)/.installed: $(SOURCES) requirements/lower_bounds.py | $(STAMP)
	$(BIN)/python -m venv --clear $(OLDEST)
	$(BIN)/python requirements/lower_bounds.py > $(OLDEST)/constraints.txt
	$(OLDEST)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(OLDEST)/bin/python -m pip install --disable-pip-version-check -c $(OLDEST)/constraints.txt -e ".[all]" --group test
	@touch $@

# npm writes its copy of the lock file last, so that copy says that the installation is complete.
%/node_modules/.package-lock.json: %/package-lock.json | $(STAMP)
	$(BIN)/python -m anas_zoo.zoo.serving $(@D:/node_modules=)
