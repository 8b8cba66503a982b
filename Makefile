# `make demo` and `make test` set up their own environment in .venv; nothing else is needed than python3 >= 3.11 with venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test check lint types clean

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "python3 >= 3.11 is needed; name one with PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/core.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing synthmill into $(VENV)"
	$(PIP) -e .
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing synthmill with what its tests need into $(VENV)"
	$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/core.stamp

# the main job on the shipped sample of the Adult census: about a minute
demo: $(VENV)/core.stamp
	$(BIN)/synthmill make recipes/adult/spec.yaml --out runs/adult --fresh

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp
	$(BIN)/mypy

check: lint types test

clean:
	rm -rf $(VENV) runs
