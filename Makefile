# `make demo` and `make test` need Python and make only; both install into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO_STAMP := $(VENV)/.installed-demo
DEMO_EXTRAS := train,serve,plots
# Python compiles what is imported, which is a small part of what is installed, and keeps it for the next process.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt
WORKERS ?= 2
# One thread for each test process: the processes share the cores.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -q
CODE := src research tests benchmarks examples

.PHONY: demo test test-all test-slow test-page test-long test-research check docs bench install clean

install: $(STAMP)

# The pip that Python 3.11 brings chooses the versions two minutes longer than a newer one. torch goes first and
# pinned: another package that asks for it would bring CUDA along.
define install_extras
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) 'pip>=25'
	$(PIP) torch
	$(PIP) -e '.[$(1)]'
	touch $@
endef

$(STAMP): pyproject.toml constraints.txt
	$(call install_extras,dev)

# A small part of `dev`, so that a first run starts soon.
$(DEMO_STAMP): pyproject.toml constraints.txt
	$(call install_extras,$(DEMO_EXTRAS))

# In a terminal it ends with the page of the service, until Ctrl-C.
demo: $(if $(wildcard $(STAMP)),$(STAMP),$(DEMO_STAMP))
	$(BIN)/reelscore demo --out demo-output
	@! test -t 1 || $(BIN)/reelscore serve --library demo-output/library --port 0

test: $(STAMP)
	$(PYTEST) -m "not slow and not long" --ignore tests/research

# Tests that take longer than those of .ci/run.
test-all: test test-slow test-page test-research test-long

test-slow: $(STAMP)
	$(PYTEST) -m "slow and not long" --ignore tests/research --ignore tests/service/page

# One process: each of these tests plays sound and pictures in a browser.
test-page: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/service/page

# Tests of minutes, such as 20 kills of the service and 200 hostile uploads.
test-long: $(STAMP)
	$(PYTEST) -m long

test-research: $(STAMP)
	$(PYTEST) tests/research

check: $(STAMP)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/codespell
	$(BIN)/mypy

docs: $(STAMP)
	$(BIN)/mkdocs build --strict --quiet

bench: $(STAMP)
	$(BIN)/python benchmarks/all.py $(BENCH)

clean:
	rm -rf $(VENV) build dist site demo-output
