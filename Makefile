# Every target sets up what it needs: `make demo` and `make test` work in a fresh clone.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
# Three processes, also on two cores: some tests wait for connections and timers.
PARALLEL := --numprocesses 3 --dist loadscope --no-loadscope-reorder

.PHONY: demo test coverage chaos check bench pythons lint docs dist format clean

# Uploads generated photos to the embedded sandbox server, and verifies them.
demo: $(VENV)/.demo
	$(BIN)/bulkup demo

# Many processes import the same modules, so compiled files are kept even if the environment disables it.
test coverage chaos: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.dev
	$(BIN)/pytest $(PARALLEL) -m "not chaos" $(PYTEST)

# The suite with branch coverage, in all its processes.
coverage: $(VENV)/.dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(PARALLEL) -m "not chaos" $(PYTEST)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# Random and slow tests: thousands of fault plans, kills at many moments, slow connections, and
# half an hour of random answers and files.
# CHAOS_SEED=N repeats a run.
chaos: $(VENV)/.dev
	BULKUP_CHAOS_PLANS=1667 BULKUP_CRASH_MOMENTS=200 BULKUP_FUZZ_S=1800 $(BIN)/pytest tests --timeout 3600 $(PARALLEL) \
		-m "chaos or plans" $(if $(CHAOS_SEED),--hypothesis-seed=$(CHAOS_SEED)) $(PYTEST)

# All that must pass before a change lands.
check: lint docs dist test

# Benchmarks, compared with their targets and with curl, md5sum and others: a quarter of an hour on
# an idle machine. BENCH="--check" exits 1 if a target is missed, BENCH="start md5" runs only these.
bench: $(VENV)/.bench
	$(BIN)/python benchmarks/bench.py $(BENCH)

# The tests on every Python from 3.11 to 3.13 that this machine has, each in its own environment.
pythons:
	@set -e; for v in 3.11 3.12 3.13; do \
		if python$$v -c 'import ensurepip' 2>/dev/null; then \
			echo "== Python $$v"; $(MAKE) --no-print-directory $(or $(TARGET),test) PYTHON=python$$v VENV=.venv-$$v; \
		else echo "== Python $$v: not found, skipped"; fi; done

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The documentation as HTML: docs/_build/html/index.html. Warnings are errors.
docs: $(VENV)/.docs
	rm -rf docs/_build
	$(BIN)/python -m sphinx -q -W --keep-going -b html -d docs/_build/doctrees docs docs/_build/html

# Builds the published packages, and runs the demo from the wheel in an empty environment.
dist: $(VENV)/.dev
	rm -rf dist .venv-dist
	$(BIN)/python docs/generate.py man > docs/bulkup.1
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*
	$(PYTHON) -m venv .venv-dist
	.venv-dist/bin/python -m pip install --quiet --disable-pip-version-check "$$(echo dist/*.whl)[demo]"
	cd dist && ../.venv-dist/bin/bulkup demo
	test -s .venv-dist/share/man/man1/bulkup.1
	rm -rf .venv-dist

format: $(VENV)/.dev
	$(BIN)/ruff check --fix --exit-zero .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .venv-* .coverage* .hypothesis .mypy_cache .ruff_cache dist docs/_build docs/bulkup.1

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "bulkup needs Python 3.11 or newer"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

$(VENV)/.bench: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

$(VENV)/.docs: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.demo
