# Everything needs Python 3.11 or newer and make; the rest is installed into .venv by the first call.

PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# What is imported is compiled once and kept, also where the environment says otherwise: hundreds of processes start.
export PYTHONDONTWRITEBYTECODE :=

# torch and torchvision must match each other, and so are installed first and pinned. pip brings uv, which installs the
# other 300 packages in a fraction of pip's time; where uv finds no index (it does not read pip's settings), pip does it.
TORCH := $(shell sed -n -E '/^torch(vision)?==/p' constraints.txt)
PIP := $(BIN)/pip --quiet --disable-pip-version-check install --no-compile --constraint constraints.txt
UV := $(BIN)/uv --quiet pip install --python $(BIN)/python --link-mode copy --constraint constraints.txt
PROJECT := --editable '.[piper,coqui,rate,ray,dev]'

.PHONY: help repro test test-faults bench bench-scale lint format clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed: make PYTHON=python3.11"'
	$(PYTHON) -m venv .venv
	$(PIP) $(TORCH) uv
	$(UV) $(PROJECT) || $(PIP) $(PROJECT)
	@touch $@

repro: .venv/installed ## build the dataset and everything about it
	sier check
	dvc repro
	@sier summary

test: .venv/installed chromium ## run all tests
	pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Of use where apt and the right to install are at hand; elsewhere the browser tests are skipped and say so.
.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || test "$$(id -u)" != 0 || \
	  ! command -v apt-get >/dev/null || (apt-get update && apt-get install --yes --no-install-recommends chromium) >/dev/null 2>&1 || true

test-faults: .venv/installed ## crash stages in every way there is, half an hour; prints a table
	pytest tests/faults -m "faults or not faults" -p no:cacheprovider --override-ini tmp_path_retention_policy=none

bench: .venv/installed ## measure against peers, side by side; needs the data of make repro
	python -m benchmarks.synthesis
	python -m benchmarks.synthesis_batched
	python -m benchmarks.scoring
	python -m benchmarks.overhead
	python -m benchmarks.training_step
	python -m benchmarks.shapley
	python -m benchmarks.shapley_error

bench-scale: .venv/installed ## time, memory and growth at B-T4SA's 470,586 rows, made up
	python -m benchmarks.scale

lint: .venv/installed ## ruff, mypy and the layers of the house
	ruff check
	ruff format --check
	mypy
	lint-imports --no-cache --no-logo

format: .venv/installed ## let ruff mend what it can
	ruff check --fix
	ruff format

clean: ## remove outputs, caches and unfinished work; keeps .venv
	rm -rf .work .mypy_cache .pytest_cache .ruff_cache .hypothesis reports/index.html
	find data -mindepth 1 -maxdepth 1 ! -name README.md ! -name .gitignore -exec rm -rf {} +
