# Everything a user or a contributor runs. `make` alone prints the list.
#
# Settings: PYTHON=python3.13 (interpreter to build for), ZIGGURAT_MONGO_URI=mongodb://... (test against that server
# instead of a throw-away one), FEATURES=... (cargo features of the Rust tests), WHEEL_PROFILE=dev (cargo profile of the
# wheel below .venv: built sooner, with debug assertions, and slow), JOBS=2 (Rust tests that run at once),
# UV=uv (installs Python packages sooner than pip).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BIN_PATH := $(CURDIR)/$(BIN)
# Installs packages for an interpreter. uv does that sooner, and does not read what is configured for pip.
install_for = $(if $(UV),$(UV) pip install --quiet --python $(1),$(1) -m pip --disable-pip-version-check --quiet install)
INSTALL := $(call install_for,$(BIN)/python)
CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR
# One interpreter for every cargo call: a changing one would rebuild pyo3 each time.
export PYO3_PYTHON := $(CURDIR)/$(BIN)/python
# The interpreter inside a Rust test finds its packages there.
export VIRTUAL_ENV := $(CURDIR)/$(VENV)

WHEEL_PROFILE ?= release
# More of the Rust tests at once than processors: many of them wait. Those of Python do less of that.
JOBS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 8 ? 2 * n : 16)))

# A MongoDB-compatible server for the tests. It runs as a process of its own and is never linked or shipped.
MONGO_VENV := .ci/mongo
MONGO_PACKAGE := SecantusDB==0.7.0b3
export ZIGGURAT_MONGO_SERVER := $(CURDIR)/$(MONGO_VENV)/bin/secantusd-py

# The Rust tests of the bridge link libpython. Where its development files are missing the rest still runs.
FEATURES ?= $(shell $(PYTHON) .ci/libpython.py && echo python || echo full)
NEXTEST := $(shell command -v cargo-nextest 2>/dev/null)

RUST_SOURCES := Cargo.toml Cargo.lock wheel/Cargo.toml $(shell find src wheel/src -name '*.rs' -o -name '*.lua')
PYTHON_SOURCES := pyproject.toml README.md $(shell find python -name '*.py' -o -name '*.pyi' -o -name py.typed)

.PHONY: help run test build-tests test-rust test-python test-examples test-programs test-references test-extension fmt lint lint-rust lint-python lint-pyright docs features bench bench-crud bench-layers bench-loop bench-startup wheel clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.wheel ## Build everything and start examples/python/quickstart.py on http://127.0.0.1:8000
	@exec $(BIN)/python examples/python/quickstart.py

test: test-rust test-python test-examples test-extension test-programs ## All tests: Rust, doctests, examples, Python on both stores, programs on PyLoop

test-rust: $(VENV)/.tools $(MONGO_VENV)/.ready ## Rust tests, doctests and examples
	@if [ "$(FEATURES)" != python ]; then \
	  echo "note: libpython's development files are missing (Debian: apt install libpython3-dev);"; \
	  echo "note: the Rust tests of the Python bridge are left out"; fi
ifneq ($(NEXTEST),)
	cargo nextest run --locked --features $(FEATURES) --test-threads $(JOBS)
	cargo test --locked --features $(FEATURES) --examples
else
	cargo test --locked --features $(FEATURES) --tests --examples
endif
	cargo test --locked --features $(FEATURES) --doc

build-tests: $(VENV)/.tools ## What test-rust runs, built and not run
	$(if $(NEXTEST),cargo nextest run --no-run,cargo test --no-run --tests) --locked --features $(FEATURES)
	cargo test --no-run --locked --features $(FEATURES) --examples

test-python: $(VENV)/.wheel $(VENV)/.tools $(MONGO_VENV)/.ready ## Python tests against the wheel
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-examples: $(VENV)/.wheel $(VENV)/.tools ## The tests that the bookshop of the examples brings along
	cd examples/python/bookshop && $(BIN_PATH)/python -m pytest

test-programs: $(VENV)/.wheel $(VENV)/.programs $(MONGO_VENV)/.ready ## Programs on PyLoop, against Redis, PostgreSQL, MongoDB (ARGS="--loop asyncio" to compare)
	@.ci/servers
	$(BIN)/python -m pytest tests/programs $(ARGS)

EXTENSION := $(CARGO_TARGET_DIR)/extension
# What maturin sets for pyo3, which would be compiled once more where it differs.
AS_MATURIN = PYO3_BUILD_EXTENSION_MODULE=1 PYO3_ENVIRONMENT_SIGNATURE=$$($(BIN)/python -c \
  'import struct, sys; print("%s-%d.%d-%dbit" % (sys.implementation.name, *sys.version_info[:2], 8 * struct.calcsize("P")))')

test-extension: $(VENV)/.wheel $(VENV)/.tools ## Tests of Rust futures in Python and of Rust in a Python app, by extension modules of their own
	$(AS_MATURIN) cargo build --locked -p ziggurat-extension -p custom_rust --features pyo3/extension-module
	rm -rf $(EXTENSION) && mkdir -p $(EXTENSION)
	cp $(CARGO_TARGET_DIR)/debug/libziggurat_extension.so $(EXTENSION)/ziggurat_extension.so
	ZIGGURAT_EXTENSION=$(EXTENSION) $(BIN)/python -m pytest tests/extension
	cp -r examples/custom_rust $(EXTENSION)/
	cp $(CARGO_TARGET_DIR)/debug/libcustom_rust.so $(EXTENSION)/custom_rust/python/custom_rust/_native.so
	cd $(EXTENSION)/custom_rust && PYTHONPATH=python $(BIN_PATH)/python -m pytest

REFERENCES := $(CARGO_TARGET_DIR)/references

test-references: $(VENV)/.tools $(MONGO_VENV)/.ready ## Python tests where releasing an object off the GIL aborts (slow build)
	RUSTFLAGS="--cfg pyo3_disable_reference_pool" CARGO_TARGET_DIR=$(REFERENCES) \
	  cargo build --locked -p ziggurat-wheel --features pyo3/extension-module
	rm -rf $(REFERENCES)/python && cp -rL python $(REFERENCES)/python
	cp $(REFERENCES)/debug/lib_ziggurat.so $(REFERENCES)/python/ziggurat/_ziggurat.so
	PYTHONPATH=$(REFERENCES)/python $(BIN)/python -m pytest

fmt: $(VENV)/.tools ## Format Rust and Python
	cargo fmt --all
	$(BIN)/ruff check --fix --quiet $(LINTED)
	$(BIN)/ruff format --quiet $(LINTED)

lint: lint-rust lint-python ## Formatting, clippy, docs, ruff, mypy --strict, stubs against the module

lint-rust: $(VENV)/.tools
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --features python -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --features python

LINTED := python tests benches examples/python docs/conf.py

lint-python: $(VENV)/.wheel $(VENV)/.tools
	$(BIN)/ruff check $(LINTED)
	$(BIN)/ruff format --check $(LINTED)
	$(BIN)/mypy --strict python/ziggurat
	cd examples/python/bookshop && $(BIN_PATH)/mypy
	$(BIN)/python -m mypy.stubtest ziggurat._ziggurat --mypy-config-file pyproject.toml \
	  --allowlist tests/python/stubtest-allowlist.txt

lint-pyright: $(VENV)/.wheel $(VENV)/.tools ## Code of users under pyright, in its strict mode (brings a Node.js of 200 MB)
	@$(INSTALL) "pyright[nodejs]==1.1.414"
	$(BIN)/python -m pytest tests/python/test_typing.py

docs: $(VENV)/.wheel $(VENV)/.docs ## The guide in dist/docs, by Sphinx; what it warns of is an error
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs dist/docs

features: ## Compile each cargo feature alone
	@for feature in server api-key basic cache catch-panic client-ip compression cors csrf decompression etag health-check hosts jwks jwt limit load-shed metrics normalize-path otel rate-limit redirect request-id security-headers sensitive-headers static timeout trace \
	    layers axum crud sqlite mongodb redis full; do \
	  echo "feature $$feature"; \
	  cargo clippy --locked --quiet --no-default-features --features $$feature -- -D warnings; done

bench: $(VENV)/.wheel ## HTTP benchmarks beside other servers (needs wrk; see benches/http/README.md)
	@exec benches/http/run

bench-startup: $(VENV)/.wheel ## How long an app of 500 routes takes to answer, beside FastAPI (see benches/startup/README.md)
	@$(INSTALL) -r benches/startup/requirements.txt
	@exec $(BIN)/python benches/startup/run

bench-crud: ## What it costs to validate a field, type by type (see benches/crud/README.md)
	cargo bench --locked --no-default-features --features crud --bench validate

bench-layers: ## What layers cost: each, a token, a quota of requests (see benches/layers/README.md)
	cargo bench --locked --no-default-features --features layers --bench each --bench jwt --bench rate_limit

bench-loop: $(VENV)/.wheel ## Event loop benchmarks beside uvloop, rloop and asyncio (see benches/loop/README.md)
	@$(INSTALL) -r benches/loop/requirements.txt
	@exec $(BIN)/python benches/loop/run

wheel: $(VENV)/.tools ## Release wheel in dist/
	$(BIN)/maturin build --release --locked --interpreter $(BIN)/python --out dist

clean: ## Remove what was built (not the cargo target directory: cargo clean does that)
	rm -rf $(VENV) $(MONGO_VENV) .ci/uv dist .pytest_cache .mypy_cache .ruff_cache
	find python tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: each is touched when its step is done, so that a second `make run` starts at once.

$(VENV)/.made:
	@command -v cargo >/dev/null || { echo "error: Rust is missing; install it from https://rustup.rs"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: Python 3.11 or newer is needed; name one with PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "error: $(PYTHON) has no venv module (Debian: apt install python3-venv)"; exit 1; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.maturin: $(VENV)/.made
	@$(INSTALL) "maturin>=1.8,<2"
	@touch $@

$(VENV)/.tools: $(VENV)/.maturin tests/python/requirements.txt
	@echo "installing test and lint tools"
	@$(INSTALL) -r tests/python/requirements.txt
	@touch $@

$(VENV)/.programs: $(VENV)/.tools tests/programs/requirements.txt
	@echo "installing the programs that run on PyLoop in tests"
	@$(INSTALL) -r tests/programs/requirements.txt
	@touch $@

$(VENV)/.docs: $(VENV)/.tools docs/requirements.txt
	@$(INSTALL) -r docs/requirements.txt
	@touch $@

# With another profile it is another wheel.
$(VENV)/.profile-$(WHEEL_PROFILE): $(VENV)/.made
	@rm -f $(VENV)/.profile-*
	@touch $@

$(VENV)/.wheel: $(VENV)/.maturin $(VENV)/.profile-$(WHEEL_PROFILE) $(RUST_SOURCES) $(PYTHON_SOURCES)
	@echo "building the wheel ($(WHEEL_PROFILE); the first build takes some minutes)"
	@touch $@.begun
	@rm -rf $(VENV)/wheel
	@$(BIN)/maturin build --quiet --profile $(WHEEL_PROFILE) --locked --interpreter $(BIN)/python --out $(VENV)/wheel
	@$(INSTALL) --force-reinstall --no-deps $(VENV)/wheel/*.whl
	@$(INSTALL) $(VENV)/wheel/*.whl
	@# Of the time when it began: what was changed meanwhile is newer.
	@mv $@.begun $@

$(MONGO_VENV)/.ready:
	@if [ -z "$${ZIGGURAT_MONGO_URI:-}" ]; then \
	  echo "installing the MongoDB-compatible test server"; \
	  $(PYTHON) -m venv $(if $(UV),--without-pip) $(MONGO_VENV); \
	  $(call install_for,$(MONGO_VENV)/bin/python) "$(MONGO_PACKAGE)"; \
	  touch $@; fi
