# Each target sets up what it needs: a virtual environment in .venv with the locked dependencies.
PYTHON ?= python3
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# A file's tests share what they have set up, so they stay together. Many wait for processes, so
# there is one more at a time than small machines have cores; files of few, long tests do not come last.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: sweep
sweep: $(READY)  ## Run the default sweep, or go on with it (SPEC=cifar10 for another preset or file)
	@$(BIN)/sweeps run $(or $(SPEC),quick) $(ARGS)

.PHONY: dashboard
dashboard: $(READY)  ## Browse the studies in optuna-dashboard
	@$(BIN)/sweeps dashboard $(ARGS)

.PHONY: export
export: $(READY)  ## Write the newest study's best configuration to best.yaml
	@$(BIN)/sweeps export --output best.yaml $(ARGS)

.PHONY: test
test: lint  ## Lint, check types and run the quick tests
	$(PYTEST) $(ARGS)

.PHONY: test-slow
test-slow: $(READY)  ## Run the long tests too
	$(PYTEST) -m "not nightly" --timeout 1800 $(ARGS)

.PHONY: test-chaos
test-chaos: $(READY)  ## Kill and suspend workers at random: 20 times on each database
	$(PYTEST) -rP tests/chaos $(ARGS)

.PHONY: chaos
chaos: $(READY)  ## The same for a night: 3000 kills on each database (ARGS="--kills 10000" for more)
	$(PYTEST) -rP -m nightly tests/chaos $(ARGS)

.PHONY: bench-layer
bench-layer: $(READY)  ## Compare the layer's speed and memory with a plain convolution's
	@$(BIN)/python -m benchmarks.layer $(ARGS)

.PHONY: bench-choice
bench-choice: $(READY)  ## Measure what the layer's choice of algorithms rests on
	@$(BIN)/python -m benchmarks.choice $(ARGS)

.PHONY: bench-storage
bench-storage: $(READY)  ## Measure what storing results costs a trial's epochs
	@$(BIN)/python -m benchmarks.storage $(ARGS)

.PHONY: bench-verdicts
bench-verdicts: $(READY)  ## Simulate how often verdicts on two arms are wrong, and the seeds they take
	@$(BIN)/python -m benchmarks.verdicts $(ARGS)

.PHONY: bench-sweep
bench-sweep: $(READY)  ## Compare the time of a search with that of a script as most people write it
	@$(BIN)/python -m benchmarks.sweep $(ARGS)

.PHONY: bench-chance
bench-chance: $(READY)  ## Measure which runs the rule stops that ends runs at chance
	@$(BIN)/python -m benchmarks.chance $(ARGS)

.PHONY: bench-pruning
bench-pruning: $(READY)  ## Measure what pruners spare a search, and what they cost its best value
	@$(BIN)/python -m benchmarks.pruning $(ARGS)

.PHONY: bench-epochs
bench-epochs: $(READY)  ## Measure what an epoch costs by images, resolution, batch size and precision
	@$(BIN)/python -m benchmarks.epochs $(ARGS)

.PHONY: bench-asking
bench-asking: $(READY)  ## Measure what asking a sampler costs by the trials that have finished
	@$(BIN)/python -m benchmarks.asking $(ARGS)

.PHONY: figures
figures: $(READY)  ## Draw the pictures of the layer's page into docs/images (ARGS=FOLDER for elsewhere)
	@$(BIN)/python -m docs.figures $(ARGS)

.PHONY: lint
lint: $(READY)  ## Lint and check types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: format
format: $(READY)  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# One environment serves every target, so all the extras are locked.
.PHONY: lock
lock: $(READY)  ## Write requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url pyproject.toml --output-file requirements.lock

.PHONY: setup
setup: $(READY)  ## Only set up the virtual environment

$(READY): requirements.lock pyproject.toml Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is missing or older than 3.11: install a newer Python, or name one: make PYTHON=python3.12" >&2; exit 1; }
	@echo "Setting up $(VENV): once, about 6 GB with torch, some minutes" >&2
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "$(PYTHON) cannot make virtual environments: install its venv package (Debian: apt install python3-venv)" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@
