# `make` lists the targets. Everything runs in a virtual environment, .venv, made on first use.
PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
# Peers installed with --no-deps: their schedulers do not need their dependencies. The tests that run them name them.
NO_DEPS ?= $(sort $(shell sed -n 's/^NO_DEPS = "\(.*\)"$$/\1/p' tests/*/test_*_peer.py))
ARGS ?=
# Number of parallel test processes.
JOBS ?= 2
EXAMPLES ?= 1000
SECONDS ?= 600
# Tests that have targets of their own.
APART := peers or sanitizers or big or cuda
# The files of the former. Importing all others for nothing would take as long as dozens of tests.
PEERS = $(sort $(shell grep -rl 'mark\.peers' tests --include='test_*.py'))
# Of exhaustive tests, a share such as 2/4 only; all if it is empty.
SHARE ?=
export LRKERN_SHARE = $(SHARE)
# Hundreds of processes that tests start import the package, each faster if it finds it compiled to bytecode.
unexport PYTHONDONTWRITEBYTECODE

BIN := $(VENV)/bin
# Bytecode is made by imports: most files of the packages are never imported, and compiling all takes minutes.
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-compile
install = $(BIN)/python tools/requires.py $(1) > $(VENV)/requirements.txt && $(PIP) -r $(VENV)/requirements.txt
C_FOLDERS := src_c $(patsubst %/,%,$(wildcard src_c/*/)) lrkern/bench/rivals examples/c tests/c/fuzz
C_FILES := $(filter-out %/ddtables.inc, $(wildcard $(foreach kind,c h inc,$(addsuffix /*.$(kind),$(C_FOLDERS)))))

# Stamps of completed steps.
VENV_MADE := $(VENV)/.made
INSTALLED := $(VENV)/.installed
BUILT := $(VENV)/.built
SOURCES := pyproject.toml setup.py $(wildcard lrkern/*.pyx lrkern/*.pxd lrkern/binding/*.pxi lrkern/bench/rivals/*.c lrkern/bench/rivals/*.inc src_c/* src_c/*/*)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo build lib test test-exhaustive test-big sanitize test-peers test-cuda test-cuda-mlir test-aarch64 test-all fuzz fuzz-c bench lint format typecheck rules record ptx docs clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  PYTHON=python3.12 chooses the interpreter, ARGS='-k cosine' goes to pytest and to the benchmark."

demo: build ## build, then train on handwritten digits, by hand and with lrkern
	@mkdir -p build
	$(BIN)/lrkern demo --out build/demo.png

build: $(BUILT) ## make .venv and build the package in place

lib: ## build only the C library, without Python, into build/lib
	$(MAKE) --no-print-directory -C src_c

test: demo ## run the demo, then all tests that need no peer library, on representative combinations
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not ($(APART) or exhaustive)" $(ARGS)

test-exhaustive: $(BUILT) ## test all other combinations of the same
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "exhaustive and not ($(APART))" $(ARGS)

test-big: $(BUILT) ## test arrays of more than 2^31 elements (needs 12 GB of free memory)
	$(BIN)/python -m pytest tests/steps/test_big.py $(ARGS)

sanitize: $(BUILT) ## run the C code under sanitizers (addresses, undefined behaviour, data races) and by other compilers
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile tests/c/test_native_steps.py tests/runtime/test_threads.py tests/c/test_fuzz.py -m sanitizers $(ARGS)
	$(BIN)/python tests/c/compare.py --quick --sanitize address,undefined
	$(BIN)/python tests/c/compare.py --quick --sanitize thread

test-peers: $(BUILT) $(VENV)/.peers ## install torch, JAX, optax, keras, ... (CPU builds), compare with them
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m peers -o testpaths="$(PEERS)" $(ARGS)

test-cuda: $(BUILT) $(VENV)/.cuda ## install numba-cuda (210 MB), check the PTX of all kernels, run PTX and kernels without a GPU
	@NUMBA_ENABLE_CUDASIM=1 $(BIN)/python -m pytest -m cuda tests/cuda $(ARGS) > $(VENV)/simulator.log 2>&1 & simulator=$$!; \
	LRKERN_CUDA_COMPILER=numba-cuda $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m cuda tests/cuda $(ARGS); compiled=$$?; \
	wait $$simulator; simulated=$$?; cat $(VENV)/simulator.log; exit $$((compiled + simulated))

test-cuda-mlir: $(BUILT) $(VENV)/.cuda-mlir ## the same with the other compiler, numba-cuda-mlir (0.7 GB)
	LRKERN_CUDA_COMPILER=numba-cuda-mlir $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m cuda tests/cuda $(ARGS)

test-aarch64: $(BUILT) ## cross-compile for aarch64, check under qemu-user that results are bit-identical
	PYTHON=$(abspath $(BIN))/python tools/test_aarch64.sh

fuzz: $(BUILT) ## test EXAMPLES=1000 times as much random input: expressions, texts, records, state files
	LRKERN_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest $(addprefix tests/schedules/test_,\
	    random_expressions.py random_bits.py properties.py bad_text.py records.py) \
	    tests/steps/test_files.py tests/steps/test_writes.py tests/package/test_cli.py tests/dialects/test_text.py $(ARGS)

fuzz-c: ## fuzz the C library for SECONDS=600 in total: libFuzzer, sanitizers, evaluation paths compared
	@command -v clang > /dev/null || { echo "make fuzz-c needs clang (Debian, Ubuntu: apt install clang libclang-rt-dev)"; exit 1; }
	$(PYTHON) tests/c/fuzz/run.py --seconds $(SECONDS)

# Ordered by how soon failures show up.
test-all: lint typecheck test test-exhaustive sanitize test-cuda test-peers fuzz-c ## run all checks for a release, including ten minutes of fuzz-c

bench: $(BUILT) $(VENV)/.bench ## measure everything in bench/RESULTS.md, against the peers that are installed
	$(BIN)/python -m lrkern.bench $(ARGS)

rules: $(VENV) ## write what C, Cython and Numba have of the rules from their formulas; the next build compiles it
	$(BIN)/python tools/rule_sources.py

ptx: $(BUILT) $(VENV)/.cuda ## compile the kernels of lrkern/cuda/shipped.zip again, after changes of rules or kernels
	LRKERN_CUDA_COMPILER=numba-cuda $(BIN)/python tools/shipped_kernels.py

record: $(BUILT) ## update generated files: the list of curves, digests of new expressions
	$(BIN)/python tools/curve_table.py
	$(BIN)/python tests/support/golden.py --add

lint: $(VENV)/.lint ## check style: ruff and clang-format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run -Werror $(C_FILES)

format: $(VENV)/.lint ## format sources in that style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(C_FILES)

typecheck: $(BUILT) $(VENV)/.lint ## check types: mypy --strict
	$(BIN)/mypy --strict lrkern bench

docs: $(BUILT) $(VENV)/.docs ## build the documentation into docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build/html
	@echo docs/_build/html/index.html

clean: ## remove build products
	rm -rf build dist *.egg-info docs/_build lrkern/_core.c lrkern/binding/c_api.pxi lrkern/*.so lrkern/bench/rivals/*.so $(BUILT)
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks
	find lrkern tests bench examples -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## also remove .venv
	rm -rf $(VENV)

$(VENV_MADE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lrkern needs Python 3.11 or newer: make PYTHON=...")'
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "(Debian, Ubuntu: apt install python3-venv python3-dev)"; exit 1; }
	@touch $@

# The first build also installs the package in place; later ones compile changed files.
$(BUILT): $(SOURCES) | $(VENV_MADE)
	@if [ $(INSTALLED) -nt pyproject.toml ]; then \
	    echo "building" && $(BIN)/python setup.py --quiet build_ext --inplace; \
	else \
	    echo "installing the package's dependencies" && $(call install,build test) && \
	    echo "building" && $(PIP) --no-build-isolation --no-deps -e . && touch $(INSTALLED); \
	fi
	@touch $@

$(VENV)/.peers: Makefile $(wildcard tests/*/test_*_peer.py) | $(VENV_MADE)
	@echo "installing torch, JAX, optax, keras, transformers and the peers of the dialects"
	$(PIP) '$(TORCH)' setuptools
	$(PIP) jax optax keras transformers accelerate lightning
	$(PIP) --no-deps --no-build-isolation $(NO_DEPS)
	@touch $@

$(VENV)/.cuda: pyproject.toml | $(VENV_MADE)
	@echo "installing the CUDA compiler" && $(call install,cuda)
	@touch $@

$(VENV)/.cuda-mlir: pyproject.toml | $(VENV_MADE)
	@echo "installing the other CUDA compiler" && $(call install,cuda-mlir)
	@touch $@

$(VENV)/.bench: pyproject.toml | $(VENV_MADE)
	@echo "installing the benchmark's dependencies" && $(call install,bench)
	@touch $@

$(VENV)/.docs: pyproject.toml | $(VENV_MADE)
	@echo "installing the documentation's dependencies" && $(call install,docs)
	@touch $@

$(VENV)/.lint: pyproject.toml | $(VENV_MADE)
	@echo "installing the linters" && $(call install,lint)
	@touch $@
