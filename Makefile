# `make quickstart` and `make test` do all of their own set-up; they need Python 3.11 and make.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
SOURCE ?=
RELEASE := releases/latest

.PHONY: help quickstart test test-slow mutate lint format types docs wheel check-installs check-python clean

help:
	@echo "make quickstart   MovieLens 100K: from nothing to ranked results on three surfaces"
	@echo "make test         lint, types and the test suite"
	@echo "make test-slow    tests that train for minutes on a real log, where there is one"
	@echo "make mutate       bugs put into the rules one by one, and those that no test finds"
	@echo "make check-installs  the distributions, and both small installs in empty environments"
	@echo "make format       format the code"
	@echo "make docs         the documentation as a site, into build/site"
	@echo "make wheel        the wheel, into dist/"
	@echo "make clean        remove what the stages made (releases stay)"

quickstart: $(VENV)/.installed
	@$(BIN)/unified-ranker build $(if $(SOURCE),--source $(SOURCE))
	@echo
	$(BIN)/unified-ranker recommend $(RELEASE) --user 10 --task search --query "star wars" --limit 5
	$(BIN)/unified-ranker recommend $(RELEASE) --user 10 --task more_like_this --source-item 50 --limit 5
	$(BIN)/unified-ranker recommend $(RELEASE) --user 10 --task home_feed --limit 5
	@echo
	@echo "Next:"
	@echo "  open releases/latest/report.html                  the quality of the model, against the baselines"
	@echo "  $(BIN)/unified-ranker serve releases/latest       the ranking service, with its API at /docs"
	@echo "  $(BIN)/unified-ranker init DIR --from DATA   a project for your own log"

test: $(VENV)/.installed-test lint types
	$(BIN)/python -m pytest -n 2 --dist loadgroup

test-slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m slow

# In a copy, mutants/, from nothing: what an earlier run found holds for its own tests only.
mutate: $(VENV)/.installed-test
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[mutate]"
	rm -rf mutants
	$(BIN)/mutmut run
	$(BIN)/mutmut results

check-installs: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m installs

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-test
	$(BIN)/mypy

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Reference pages and pictures are made from the code first, so that a site is never behind it. The variable silences the
# theme's banner about its successor; the theme is maintained until May 2027.
docs: $(VENV)/.installed-test
	$(BIN)/python docs/scripts/reference.py
	$(BIN)/python docs/scripts/pictures.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Without what an earlier build left: setuptools would put modules that have gone since into the wheel.
wheel: | check-python
	rm -rf build
	$(PYTHON) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	@ls dist/*.whl

clean:
	rm -rf .unified_ranker build dist *.egg-info

check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
	  echo "error: Python 3.11 is required (scann and TensorFlow 2.20 are pinned for it). Name it: make PYTHON=/path/to/python3.11 …"; \
	  exit 1; }

$(BIN)/python: | check-python
	$(PYTHON) -m venv $(VENV)

# The packages are reinstalled when setup.cfg changes; about 2.6 GB and three minutes the first time.
$(VENV)/.installed: setup.cfg pyproject.toml | $(BIN)/python
	@echo "installing TensorFlow and the other pinned packages into $(VENV): about three minutes the first time"
	$(BIN)/pip install --quiet --disable-pip-version-check --progress-bar on -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --progress-bar on -e ".[test]"
	@touch $@
