# All that is needed is make and Python 3.10 or newer: every target first installs what it uses into .venv.
PYTHON ?= python3
# On Linux, PyPI's torch brings gigabytes of CUDA libraries; PyTorch's own CPU wheels do for demo and tests.
# To use an NVIDIA GPU: make clean && make demo TORCH_WHEELS=
TORCH_WHEELS ?= https://download.pytorch.org/whl/cpu/torch/
# Compiling every installed file takes longer than installing: the first run compiles those it imports and keeps them.
export PYTHONDONTWRITEBYTECODE :=
# Checks the types of the chain editor's JavaScript. Without npm or its registry that test is skipped.
TYPESCRIPT := 7.0.2
PIP_INSTALL := .venv/bin/python -m pip install --disable-pip-version-check --no-compile -c constraints.txt

.PHONY: demo test quick lint format clean

demo: .venv/installed
	.venv/bin/python -m got_models demo --out demo_output

# Two processes of one thread each, which take whole files and so share their servers. The slowest files come first, and
# many small ones last, so that both processes end together.
test: lint $(if $(shell command -v npm),.venv/node/typescript-$(TYPESCRIPT))
	OMP_NUM_THREADS=1 .venv/bin/pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder \
	    tests/in_comfyui tests/tiny tests/web tests/unit

# What a change in Python needs most of the time: no checkpoint, no ComfyUI, no browser, no process that is killed.
quick: lint
	OMP_NUM_THREADS=1 .venv/bin/pytest --quiet --numprocesses=2 tests/unit \
	    --ignore=tests/unit/importing/test_staging.py --ignore=tests/unit/importing/test_memory.py \
	    --ignore=tests/unit/annotation/test_killed.py

lint: .venv/installed-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

format: .venv/installed-dev
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

clean:
	rm -rf .venv demo_output .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv

# torch goes first and alone, so that its wheel page is read once and not once for every package.
.venv/installed: requirements.txt constraints.txt | .venv/bin/python
	$(PIP_INSTALL) --no-deps --retries 1 $(addprefix --find-links ,$(TORCH_WHEELS)) torch
	$(PIP_INSTALL) torch -r requirements.txt
	touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	$(PIP_INSTALL) -r requirements-dev.txt
	touch $@

.venv/node/typescript-$(TYPESCRIPT): | .venv/bin/python
	-npm install --prefix .venv/node --no-save --no-audit --no-fund typescript@$(TYPESCRIPT) && touch $@
