# Every target makes its own virtual environment where there is none.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help install test lint bench clean

help:
	@echo "make install   a virtual environment in $(VENV) with everything, and MediaPipe's model in your cache"
	@echo "make test      the tests"
	@echo "make lint      format, style and types"
	@echo "make bench     extraction against the loop that everyone writes (minutes)"
	@echo "make clean     remove what make made"

# Links to each file stand in build/: a new file is installed anew.
$(INSTALLED): pyproject.toml setup.py $(wildcard pipelines/*.py transforms/*.py records/*.py synthetic/*.py)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[train,dev]' --config-settings editable_mode=strict
	touch $@

install: $(INSTALLED)
	$(BIN)/handstream fetch-model

test: install
	$(BIN)/python -m pytest

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: install
	$(BIN)/python benchmarks/extract.py

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
