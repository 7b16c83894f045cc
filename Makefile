# make demo   the whole workflow on drawn images, up to the table of scores and the report
# make demo-network  the same, with both final networks, each also trained on ground truth
# make test   formatter, linter, type check and tests
# make test-slow  the benchmark's own tests, which take minutes
# make bench  measure the code beside naive twins, into docs/performance.md
# make docs   the pages in docs/ as a site, in results/site/
# make env    the environment alone
# make tables bring the tables in docs/ and the schema for editors up to date

PYTHON ?= python3
CORES ?= $(shell $(PYTHON) -c "import os; print(os.cpu_count())")
# Those of pytest; each has the workflow start jobs of its own.
PROCESSES ?= 2
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: env tools demo demo-network test test-slow check docs tables bench clean

env: .venv/installed

.venv/installed: requirements.txt requirements-crf.txt pyproject.toml envs/run_snakemake.py envs/install.py
	@$(PYTHON) envs/install.py
	@touch $@

# Programs that read exports, for the tests.
tools: .venv/tools/installed

.venv/tools/installed: .venv/installed requirements-tools.txt
	@rm -rf .venv/tools
	@$(PIP) --no-deps --target .venv/tools -r requirements-tools.txt && touch $@ || echo "Went on without the programs of requirements-tools.txt; the tests that read exports with them are skipped."

demo: env
	@$(BIN)/snakemake --cores $(CORES)

demo-network: env
	@$(BIN)/snakemake --cores $(CORES) --config 'mask_rcnn={labels: both}' 'deeplab={labels: both}'

test: env tools check
	$(BIN)/pytest --numprocesses $(PROCESSES)

# What takes minutes and changes seldom: every case of the benchmark at small sizes.
test-slow: env
	$(BIN)/pytest -m slow

# What needs no run: formats, lints, types, and that imports go downwards.
check: env
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/snakemake --lint

docs: env
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

tables: env
	$(BIN)/python docs/tables.py

bench: env
	$(BIN)/python benchmarks/bench.py
	$(BIN)/python benchmarks/load.py large --images 5 --max-side 1024

clean:
	rm -rf results .snakemake
