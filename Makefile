# Two commands do everything on a machine with Python 3.11 or 3.12: `make train` and `make test`.
VENV ?= .venv
BIN := $(VENV)/bin
# The first of these that starts and is 3.11 or 3.12.
PYTHON ?= $(shell for python in python3.12 python3.11 python3 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null \
	&& echo $$python && break; done)

.PHONY: train test slow check lint types docs results install install-dev clean

train: install  ## Install, then run the first experiment: on data/birdclef-2022 if it is there, else on demo data
	PATH="$(CURDIR)/$(BIN):$$PATH" accelerate launch experiments/timm_008/run.py

test: install-dev  ## Install with what the tests need, then run the default suite
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

slow: install-dev  ## The tests that `make test` leaves out; some run BirdNET and Ray
	$(BIN)/python -m pip install --quiet --no-deps -r requirements-birdnet.txt
	$(BIN)/python -m pip install --quiet -r requirements-ray.txt
	$(BIN)/python -m pytest -m slow -n 2 --dist loadfile --durations=25

docs: install-dev  ## The reference of every function in build/docs, from the docstrings; every link is checked
	rm -rf build/docs
	$(BIN)/pdoc --docformat numpy --output-directory build/docs core analysis sweeps experiments benchmarks
	$(BIN)/python -m tests.links build/docs README.md docs/*.md experiments/*.md sweeps/*.md

results: install-dev  ## experiments/RESULTS.md, from the runs of `python -m benchmarks.claims --train` where they are
	if [ -d outputs/claims ]; then $(BIN)/python -m benchmarks.claims; else $(BIN)/python -m benchmarks.results; fi

check: lint types test  ## Lint, types, tests

lint: install-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install-dev
	$(BIN)/mypy

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or 3.12 found; name one: make train PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

$(VENV)/.installed: requirements.txt pyproject.toml | $(VENV)/.python
	$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt requirements.txt pyproject.toml | $(VENV)/.python
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
