PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup setup-cpu demo notebooks test test-all lint docs tables pictures clean
.PHONY: test-coverage test-slow test-paper test-reliability test-slurm slurm-runs
.NOTPARALLEL: test-all

setup: $(READY)

# Installs the pinned versions. A lock without dependency resolution can carry versions that torchattacks' metadata
# forbids although its code does not mind (see CONTRIBUTING.md).
$(READY): requirements.lock pyproject.toml
	@echo "Installing into $(VENV): this downloads 3.2 GB and takes 6.7 GB, most of it CUDA. Without a GPU: make setup-cpu"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

# The same versions, with torch and torchvision from PyTorch's index of CPU wheels, whose hashes are not in the lock.
CPU_WHEELS := https://download.pytorch.org/whl/cpu
CUDA := /^(torch|torchvision|triton|nvidia-[^=]*|cuda-[^=]*)==/
setup-cpu:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-deps --index-url $(CPU_WHEELS) $$(grep -oE '^(torch|torchvision)==[0-9.]+' requirements.lock)
	sed -E '$(CUDA),/[^\\]$$/d' requirements.lock | $(BIN)/pip install --quiet --no-deps --require-hashes -r /dev/stdin
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $(READY)

demo: setup
	$(BIN)/python -m gat_lightning.demo

notebooks: setup
	$(BIN)/python notebooks/execute.py

test: setup
	$(BIN)/pytest -q -n auto --dist loadfile

# All tests, in parts by marker; `make -k test-all` goes on after a part that failed. CONTRIBUTING.md says how long.
test-all: test-coverage test-slow test-paper test-reliability test-slurm

test-coverage: setup
	$(BIN)/pytest -q -n auto --dist loadfile --cov --cov-report=term:skip-covered --cov-fail-under=90

test-slow: setup
	$(BIN)/pytest -q -n 2 --dist loadfile -m "slow and not paper and not reliability"

test-paper: setup
	$(BIN)/pytest -q -n 2 --dist worksteal -m "slow and paper"

test-reliability: setup
	$(BIN)/pytest -q -n 2 --dist loadfile -m "slow and reliability"

test-slurm: setup
	$(BIN)/pytest -q -m slurm

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The generated tables and counts of README, docs and benchmarks, from the kept results.
tables: setup
	PYTHONPATH=. $(BIN)/python docs/make_tables.py

# The pictures of the documentation; trains four models, and needs Chromium or Chrome for the screenshots.
pictures: setup
	PYTHONPATH=. $(BIN)/python docs/make_pictures.py

# The tables of runs in docs/slurm.md, from a sweep on a SLURM that is started for it, as root; then `make tables`.
slurm-runs: setup
	PYTHONPATH=tests $(BIN)/python -m support.eventful_sweep results/slurm

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage dist build site
