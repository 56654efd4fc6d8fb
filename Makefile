# `make demo` and `make test` are all a fresh machine needs; both install into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2

.PHONY: demo test check bench install clean

install: $(STAMP)

# torch goes first and pinned: asked for by another package it would bring CUDA along.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/reelscore demo --out demo-output

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -q

check: $(STAMP)
	$(BIN)/ruff format --check src research tests benchmarks
	$(BIN)/ruff check src research tests benchmarks
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python benchmarks/all.py $(BENCH)

clean:
	rm -rf $(VENV) build dist demo-output
