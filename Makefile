# Two commands matter on a fresh machine: `make demo` and `make test`. Each sets up .venv by itself, without root.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
JOBS   ?= 2

.PHONY: demo test test-all bench lint format docs examples train clean

demo: $(VENV)/.train
	$(BIN)/sandgrain demo

test: lint
	$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile -m "not slow"

# Everything, the long campaigns included: 10,000 random cases an op and 10,000 damaged models.
test-all: lint
	SANDGRAIN_OP_CASES=10000 SANDGRAIN_MUTANTS=10000 $(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile

bench: $(VENV)/.test
	$(BIN)/python bench/run.py
	$(BIN)/python bench/builds.py

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.test
	$(BIN)/python tools/public_names.py
	$(BIN)/python tools/cli_docs.py > docs/reference/cli.md.new
	mv docs/reference/cli.md.new docs/reference/cli.md
	$(BIN)/python tools/project_docs.py > docs/reference/project.md.new
	mv docs/reference/project.md.new docs/reference/project.md
	$(BIN)/python tools/op_docs.py > docs/reference/ops-and-kernels.md.new
	mv docs/reference/ops-and-kernels.md.new docs/reference/ops-and-kernels.md
	$(BIN)/python tools/adding_docs.py > docs/guide/adding.md.new
	mv docs/guide/adding.md.new docs/guide/adding.md

# Builds the examples again (an hour where nothing is cached) and puts what they print into their READMEs.
examples: $(VENV)/.train
	$(BIN)/python tools/example_docs.py

# Retrains the demo's model. The files it writes are committed, so this is only for changing them.
train: $(VENV)/.train
	$(BIN)/python tools/train_digits.py

clean:
	rm -rf $(VENV) build dist out digits-demo .mypy_cache .pytest_cache .ruff_cache .hypothesis

# --- set-up: a stamp file for each set of packages, so that it happens once -----------------------------------------

$(VENV)/.made:
	$(PYTHON) tools/make_venv.py $(VENV)
	@touch $@

$(VENV)/.core: $(VENV)/.made pyproject.toml constraints.txt
	$(BIN)/python tools/pip_install.py --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.made pyproject.toml constraints.txt
	$(BIN)/python tools/pip_install.py --constraint constraints.txt --editable '.[test]'
	@touch $@ $(VENV)/.core

$(VENV)/.train: $(VENV)/.made pyproject.toml constraints.txt
	$(BIN)/python tools/pip_install.py --constraint constraints.txt --editable '.[train]'
	@touch $@ $(VENV)/.core
