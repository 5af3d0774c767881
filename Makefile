# Every target makes and reuses .venv; Python 3.11 and make are all that is needed.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TORCH := $(shell sed -n 's/^torch==/torch==/p' constraints.txt)
# Two workers with one thread each: more threads than cores slows every test.
export OMP_NUM_THREADS ?= 1
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadscope

.PHONY: demo test test-system test-slow bench check format install clean
.DEFAULT_GOAL := install

install: $(STAMP)

# torch first and alone: asked for by another package, it would bring gigabytes of CUDA.
$(STAMP): pyproject.toml constraints.txt
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q $(TORCH)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP)
	@env -u OMP_NUM_THREADS $(BIN)/neuroattn demo paths.root=demo_output

check: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	$(PYTEST) -m "not slow and not system and not gpu"

test-system: $(STAMP)
	@bash tests/system/install.sh
	$(BIN)/python -m pytest -m "system and not slow"

test-slow: $(STAMP)
	$(PYTEST) -m "slow"

bench: $(STAMP)
	$(BIN)/python -m benchmarks

format: $(STAMP)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) dist demo_output
