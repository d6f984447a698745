# Every target makes its own virtual environment where there is none.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help install test lint bench demo clean

help:
	@echo "make install   a virtual environment in $(VENV) with everything, and MediaPipe's model in your cache"
	@echo "make test      the tests"
	@echo "make lint      format, style and types"
	@echo "make bench     extraction against the loop that everyone writes (minutes)"
	@echo "make demo      render hands, extract them, show what came out and learn from it (minutes)"
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

# Rendered hands instead of videos of your own; made once.
demo/clips/manifest.csv: | install
	rm -rf demo/clips
	mkdir -p demo
	$(BIN)/handstream synth demo/clips --fps 20 --picture demo/clips.png

demo: install demo/clips/manifest.csv
	$(BIN)/handstream extract --manifest demo/clips/manifest.csv demo/out
	$(BIN)/handstream inspect demo/out
	$(BIN)/handstream train demo/out demo/model --epochs 12
	@echo
	@echo "Look at demo/clips.png and demo/model/evaluation/report.html, and at one take:"
	@echo "$(BIN)/handstream inspect demo/out --take s01-wave-1"
	@echo "Next, with videos of your own: $(BIN)/handstream extract VIDEOS/ OUT"

clean:
	rm -rf $(VENV) demo build *.egg-info .pytest_cache .mypy_cache .ruff_cache
