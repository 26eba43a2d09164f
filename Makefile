# The commands of the README; each makes the virtual environment first if there is none.
VENV ?= .venv
PYTHON ?= python3
ARGS ?=
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: study study-architectures test test-slow test-faults test-architectures test-scale lint audit format bench clean

study: $(READY)
	$(BIN)/python sweeps/lambda_stability.py $(ARGS)

# The 64 cheapest architectures, one λ, one seed, few steps: minutes on two cores.
study-architectures: $(READY)
	$(BIN)/python sweeps/lambda_stability.py --architectures cheapest:64 --datasets patches --lambdas 0.05 --seeds 1 \
		--image-size 32 --epochs 4 --batch-size 32 --limit-train 256 --study all-architectures $(ARGS)

test: $(READY)
	$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal -m "not slow and not architectures and not faults" $(ARGS)

test-slow: $(READY)
	$(BIN)/pytest -m slow $(ARGS)

# One at a time: rows measure how soon a study goes on. As root: disks are mounted that are small.
test-faults: $(READY)
	$(BIN)/pytest -m faults $(ARGS)

test-architectures: $(READY)
	$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal -m architectures $(ARGS)

# 10,000 trials that do nothing, as a grid and as a search, beside plain Ray Tune: half an hour.
test-scale: $(READY)
	$(BIN)/python tests/benchmarks/bench_scale.py $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Known vulnerabilities of what is installed; says so where no service can be asked.
audit: $(READY)
	$(BIN)/python .ci/audit

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python tests/benchmarks/bench_views.py
	$(BIN)/python tests/benchmarks/bench_overhead.py
	$(BIN)/python tests/benchmarks/bench_sigreg.py
	$(BIN)/python tests/benchmarks/bench_power.py
	$(BIN)/python tests/benchmarks/bench_results.py

# Leaves studies and the environment alone.
clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -not -path "./$(VENV)/*" -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@echo "installing into $(VENV); this takes minutes, once"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev,bench]"
	touch $@
