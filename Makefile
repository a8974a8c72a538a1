# make quickstart: set everything up and run the whole job once; make test: set up and test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TESTS ?= not slow and not real
export HF_HUB_OFFLINE ?= 1
export OMP_WAIT_POLICY ?= PASSIVE
export RAY_USAGE_STATS_ENABLED ?= 0

.PHONY: quickstart test lint setup clean
.DEFAULT_GOAL := quickstart

quickstart: $(READY)
	$(BIN)/tune-distill search search_spaces/quickstart.yaml
	$(BIN)/tune-distill front quickstart
	$(BIN)/tune-distill export quickstart --pick knee --to students/quickstart-knee --replace

test: $(READY)
	$(BIN)/pytest -q -n 2 --dist loadfile -m "$(TESTS)"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tune-distill needs Python 3.11 or newer; try make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --editable '.[onnx]' --group dev
	touch $(READY)

clean:
	rm -rf $(VENV) studies students build dist
