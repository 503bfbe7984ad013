# Every target sets up what it needs: `make demo` and `make test` work in a fresh clone.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
# A third process works while tests of the others wait for lines and clocks.
PARALLEL := --numprocesses 3 --dist loadscope --no-loadscope-reorder

.PHONY: demo test coverage chaos check bench pythons lint docs dist format clean

# The main job, for real: an archive of photos goes up to the embedded sandbox server.
demo: $(VENV)/.demo
	$(BIN)/bulkup demo

# Many processes import the same modules: each is compiled once, whatever the environment says.
test coverage chaos: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.dev
	$(BIN)/pytest $(PARALLEL) -m "not chaos" $(PYTEST)

# The suite with branch coverage, in all its processes.
coverage: $(VENV)/.dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(PARALLEL) -m "not chaos" $(PYTEST)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# What is random or slow: thousands of fault plans, kills at many moments, lines as thin as those
# of a real household. CHAOS_SEED=N repeats a run.
chaos: $(VENV)/.dev
	BULKUP_CHAOS_PLANS=1667 BULKUP_CRASH_MOMENTS=200 $(BIN)/pytest tests --timeout 3600 $(PARALLEL) \
		-m "chaos or plans" $(if $(CHAOS_SEED),--hypothesis-seed=$(CHAOS_SEED)) $(PYTEST)

# What must hold before a change lands.
check: lint docs dist test

# Speed and size held to their targets, beside curl, md5sum and others: a quarter of an hour on a
# quiet machine. BENCH="--check" exits 1 where a target is missed, BENCH="start md5" takes only these.
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

# The packages that are published, and one of them at work in an environment that has nothing else.
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
