# Everything needs Linux, Python 3.11 to 3.14 and make; what a target needs is installed into .venv where it is first needed.

PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# What is imported is compiled once and kept, also where the environment says otherwise: hundreds of processes start.
export PYTHONDONTWRITEBYTECODE :=

EXTRAS := piper hibari coqui rate ray docs dev
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-emit-index-url --no-emit-find-links

.PHONY: help install repro test rate ray coqui piper test-faults bench bench-scale docs lint format lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

.venv/installed-core: pyproject.toml requirements.lock constraints.txt
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 15) and sys.platform == "linux" or \
	  sys.exit("Linux and Python 3.11 to 3.14 are needed, found %s and %s: make PYTHON=python3.11" % (sys.platform, sys.version.split()[0]))'
	@PYTHON=$(PYTHON) .ci/install core
	@touch $@

# all, or an extra of pyproject.toml
.venv/installed-%: .venv/installed-core
	@.ci/install core $*
	@touch $@

install: .venv/installed-core ## what `make repro` needs, and no more

repro: .venv/installed-core ## build the dataset and everything about it
	@git rev-parse --git-dir >/dev/null 2>&1 || test -e .git || dvc config --local core.no_scm true # a download without .git
	sier check
	dvc repro
	@sier summary

test: .venv/installed-all chromium ## run all tests
	pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

rate: .venv/installed-rate ## let people judge rows of the dataset, on a page
	sier rate

ray coqui piper: %: .venv/installed-% ## install what SIER_ENGINE=ray, or the voice of that name, needs
	@echo "$* is installed"

# Of use where apt and the right to install are at hand; elsewhere the browser tests are skipped and say so.
.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || test "$$(id -u)" != 0 || \
	  ! command -v apt-get >/dev/null || (apt-get update && apt-get install --yes --no-install-recommends chromium) >/dev/null 2>&1 || true

test-faults: .venv/installed-all ## crash stages in every way there is, half an hour; prints a table
	pytest tests/faults -m "faults or not faults" -p no:cacheprovider --override-ini tmp_path_retention_policy=none

bench: .venv/installed-all ## measure against peers, side by side; needs the data of make repro
	python -m benchmarks.synthesis
	python -m benchmarks.synthesis_batched
	python -m benchmarks.scoring
	python -m benchmarks.overhead
	python -m benchmarks.training_step
	python -m benchmarks.shapley
	python -m benchmarks.shapley_error

bench-scale: .venv/installed-all ## time, memory and growth at B-T4SA's 470,586 rows, made up, and at 50,000 with media
	python -m benchmarks.scale
	python -m benchmarks.memory

docs: .venv/installed-docs ## write the generated pages anew, and the site to build/docs; any warning is an error
	python -m docs.generated
	sphinx-build --quiet --fail-on-warning --keep-going docs build/docs

lint: .venv/installed-all ## ruff, mypy and the layers of the house
	ruff check
	ruff format --check
	mypy
	lint-imports --no-cache --no-logo

format: .venv/installed-all ## let ruff mend what it can
	ruff check --fix
	ruff format

# A version stays what constraints.txt says: change or delete its line there, then call this.
lock: .venv/installed-all ## write requirements.lock and constraints.txt anew; asks the package registry
	$(COMPILE) --upgrade --generate-hashes --custom-compile-command 'make lock' --constraint constraints.txt \
	  $(EXTRAS:%=--extra %) --output-file requirements.lock pyproject.toml
	sed -n -E 's/^([^ ]+==[^ ]+).*/\1/p' requirements.lock > .venv/pins
	for extra in $(EXTRAS); do \
	  echo setuptools | $(COMPILE) --no-header --constraint .venv/pins --extra $$extra pyproject.toml - | \
	  sed -E "s/[ ;].*//; s/$$/ $$extra/" || exit; done > .venv/sets
	(sed -n '/^#/p' constraints.txt; awk 'FNR == NR { sets[$$1] = sets[$$1] " " $$2; next } \
	  { print $$1 " #" (sets[$$1] ~ / hibari/ ? " core" : sets[$$1]) }' .venv/sets .venv/pins) > .venv/constraints.txt
	mv .venv/constraints.txt constraints.txt

clean: ## remove outputs, caches and unfinished work; keeps .venv
	rm -rf .work .mypy_cache .pytest_cache .ruff_cache .hypothesis reports/index.html
	find data -mindepth 1 -maxdepth 1 ! -name README.md ! -name .gitignore -exec rm -rf {} +
