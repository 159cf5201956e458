# setup | demo | test | test-all | lint | format | docs | docs-serve | package | architecture | bench | clean: each works as
# the first command on a fresh machine.
# the first interpreter that runs and has a fitting version
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.13; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
# a CPU or CUDA build: make setup TORCH='torch --index-url URL', URL from PyTorch's install selector
TORCH ?= torch
VENV ?= .venv
# processes of make test
TEST_WORKERS ?= 2
# where make demo writes
DEMO ?= demo
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCS_STAMP := $(VENV)/.installed-docs

.PHONY: setup demo test test-all lint format docs docs-serve package architecture bench clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no Python 3.11-3.13 found: install one, or make setup PYTHON=/path/to/python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt $(TORCH)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

demo: setup
	$(BIN)/python examples/demo.py $(DEMO)

test: setup
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder --durations 15

# what depends on the version of Python, on the other versions that are here; TORCH as for setup
test-all: test
	.ci/test-other-pythons '$(TORCH)'

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# the site, into site/; a link, an anchor or a name in it that leads nowhere is an error
docs: $(DOCS_STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html is the documentation: make docs-serve shows it with its search"

docs-serve: $(DOCS_STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

# dist/: the source distribution, and the wheel that is built from it; installed into an empty environment and used there
package: setup
	rm -rf build dist
	$(BIN)/python -m build --outdir dist .
	.ci/check-wheel $(BIN)/python '$(TORCH)'

# redraws docs/architecture.svg from the imports, prints the numbers of the structure
architecture: setup
	$(BIN)/python docs/architecture.py

bench: setup
	$(BIN)/python benchmarks/resolver.py
	$(BIN)/python benchmarks/renderer.py

clean:
	rm -rf $(VENV) .venv-3.1? build dist site *.egg-info
