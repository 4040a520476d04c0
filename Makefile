# make demo   the whole story on the bundled sample (make demo QUICK=1: a short form of it)
# make test   the tests
# make check  format, lint, types, architecture
# make bench  the benchmarks, printed as tables
# make docs   puts what commands print into the README (runs the demo if runs/demo.txt is not there)
# Each makes the virtual environment .venv itself; make setup makes it alone.

PYTHON ?= python3.11
BIN := .venv/bin
READY := .venv/.ready

.PHONY: setup demo test check bench docs clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(READY)
	$(BIN)/mergedistill demo $(if $(QUICK),--quick)

# A module of tests goes to one worker, so that its clusters, runs and caches are made once.
test: $(READY)
	$(BIN)/pytest --numprocesses auto --dist loadscope --no-loadscope-reorder

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	@for bench in tests/benchmarks/bench_*.py; do name=$$(basename $$bench .py); echo "== $$name"; $(BIN)/python -m tests.benchmarks.$$name || exit 1; done

docs: $(READY) runs/demo.txt
	$(BIN)/python -m tests.docs runs/demo.txt

runs/demo.txt: | $(READY)
	mkdir -p runs
	$(BIN)/mergedistill demo > $@.partial
	mv $@.partial $@

clean:
	rm -rf .venv runs build *.egg-info
