# make run: install, migrate and serve on http://127.0.0.1:5000.   make test: install and run the test suite.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOST ?= 127.0.0.1
PORT ?= 5000
BENCH ?= all

.PHONY: run test test-fast cov faults bench lint clean

run: $(VENV)/run.stamp
	@$(BIN)/python manage.py db upgrade
	@exec $(BIN)/python manage.py serve --host $(HOST) --port $(PORT)

test: $(VENV)/dev.stamp
	@$(BIN)/python manage.py test

# Quick tests that start no server, command or browser, on SQLite only.
test-fast: $(VENV)/dev.stamp
	@$(BIN)/pytest -q -n 2 --database=sqlite -m "not processes and not slow"

cov: $(VENV)/dev.stamp
	@$(BIN)/python manage.py cov

faults: $(VENV)/dev.stamp
	$(BIN)/pytest -q -s --database=postgresql project/tests/faults/*.py

# BENCH selects a benchmark and its options: make bench BENCH="status --only users,tutorial"
bench: $(VENV)/bench.stamp
	$(BIN)/python -m bench.contestants
	$(BIN)/python -m bench $(BENCH)
	$(BIN)/python -m bench.plots

lint: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml deploy/compose/compose.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.travis .travis.yml
	$(BIN)/kubernetes-validate --strict --quiet $(filter-out %/kustomization.yaml,$(wildcard deploy/kubernetes/*.yaml))
	sh -n entrypoint.sh
	bash -n .ci/run

clean:
	rm -rf $(VENV) htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is required; to choose another: make PYTHON=python3.11 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/dev.stamp: requirements.txt requirements-dev.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

$(VENV)/bench.stamp: $(VENV)/dev.stamp bench/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r bench/requirements.txt
	@touch $@
