# Oblivion's commands. Each brings what it needs, uv included; a machine needs only Python 3.11+ and make.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# --- uv: the one on the PATH where it is new enough, else one of our own under .tools/ -------------

TOOLS := .tools
UV_VERSION := 0.13.9
UV_ON_PATH := $(shell uv --version 2>/dev/null | awk '{ split($$2, v, "."); if (v[1] > 0 || v[2] >= 8) print "uv" }')
UV := $(or $(UV_ON_PATH),$(TOOLS)/bin/uv)

# The first Python that fits, `python3` before others, and releases that our dependencies know before newer.
FIND_PYTHON = for below in "3, 15" "4, 0"; do \
	for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
		"$$name" -c "import sys; (3, 11) <= sys.version_info < ($$below) or sys.exit(1); print(sys.executable)" \
			2>/dev/null && exit; \
	done; \
done

# An environment that is there keeps its Python; a new one takes the one found. None is ever downloaded.
ifeq ($(wildcard .venv/bin/python),)
export UV_PYTHON ?= $(shell $(FIND_PYTHON))
endif
export UV_PYTHON_DOWNLOADS := never
# Trust what the machine trusts, where it keeps a certificate store (a company's proxy, for one).
TRUSTED := $(firstword $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem))
ifneq ($(TRUSTED),)
export UV_SYSTEM_CERTS ?= 1
export NODE_EXTRA_CA_CERTS ?= $(TRUSTED)
endif
# Material announces its successor in every build; we know.
export NO_MKDOCS_2_WARNING := 1
# Another environment that happens to be active is none of our business.
unexport VIRTUAL_ENV

SYNC := $(UV) sync -q --all-packages
RUN := $(UV) run -q --no-sync

# Of the folders that we check, those that are there.
TYPED := $(wildcard packages/*/src packages/*/tests packages/*/examples tests bench)

# How many processes share the tests: one a processor, from two to four; 0 runs them one after the other.
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN || echo 2); echo $$((n < 2 ? 2 : n > 4 ? 4 : n)))
# More for pytest, for example: make test ARGS="-k reconnect -x"
ARGS ?=

.PHONY: help demo test check bench soak screenshots docs fix setup clean distclean lint types mypy pyright layers

help: ## List the commands
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## See it: an embedded Nexus, a real agent, real work
	@$(RUN) nexus demo

test: setup browser ## Run every test
	@$(RUN) pytest -n $(WORKERS) --dist worksteal $(ARGS)

check: setup types lint layers docs ## Format, lint, types, layers and docs, as CI checks them

bench: setup ## Measure throughput, latency, memory and recovery beside other queues
	@$(RUN) python -m bench $(ARGS)

soak: setup ## Run the tests that take minutes
	@$(RUN) pytest -m soak --timeout 3600 $(ARGS) packages tests

screenshots: setup browser ## Write pictures of every page of the Observer to docs/img
	@$(RUN) python packages/nexus/tests/support/screenshots.py $(ARGS)

docs: setup ## Build the documentation into site/
	@echo "docs: mkdocs" && $(RUN) mkdocs build --strict

fix: setup ## Put right what ruff can put right
	@$(RUN) ruff check --fix-only --quiet
	@$(RUN) ruff format --quiet

clean: ## Remove caches, reports and builds
	@rm -rf build dist htmlcov site .coverage .coverage.* coverage.xml \
		.hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache packages/*/htmlcov packages/*/.coverage*
	@find packages tests bench docs -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean ## Remove the environment, the tools and the lock file too
	@rm -rf .venv $(TOOLS) uv.lock

# --- the parts of `check` ---------------------------------------------------------------------------

lint: setup
	@echo "lint: ruff" && $(RUN) ruff check
	@$(RUN) ruff format --check

types: mypy pyright

mypy: setup
	@echo "types: mypy" && $(RUN) mypy $(TYPED)

pyright: setup
	@echo "types: pyright" && $(RUN) pyright

layers: setup
	@echo "layers: import-linter" && $(RUN) lint-imports --no-logo

# --- what everything stands on ----------------------------------------------------------------------

setup: $(UV)
	@[ -d .venv ] || echo "make: installing what the project needs into .venv/ (the first time takes a while)"
	@$(SYNC)

# A Chromium for the tests of the Observer: the machine's, else Debian's package, else Playwright's own.
CHROMIUM := $(firstword $(foreach name,chromium chromium-browser google-chrome-stable google-chrome,$(shell command -v $(name))))
.PHONY: browser
browser: setup
ifeq ($(CHROMIUM),)
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "make: installing Debian's chromium for the tests of the Observer"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null; \
	else \
		$(RUN) playwright install chromium; \
	fi
endif

# `uv` itself, when it comes from the PATH, is no file to be made.
.PHONY: uv
uv: ;

# A virtual environment where the machine's Python can make one (Debian splits it off), else pip alone.
$(TOOLS)/bin/uv:
	@python=$$($(FIND_PYTHON)); \
	if [ -z "$$python" ]; then \
		echo "make: no Python 3.11 or newer found (looked for python3, python3.14 ... python3.11, python)." >&2; \
		echo "make: install one, or install uv, and try again." >&2; \
		exit 1; \
	fi; \
	rm -rf $(TOOLS) && mkdir -p $(TOOLS)/bin; \
	echo "make: installing uv $(UV_VERSION) into $(TOOLS)/ with $$python"; \
	if "$$python" -m venv $(TOOLS)/venv >$(TOOLS)/log 2>&1 \
		&& $(TOOLS)/venv/bin/python -m pip install -q uv==$(UV_VERSION) >>$(TOOLS)/log 2>&1; then \
		ln -s ../venv/bin/uv $@; \
	elif "$$python" -m pip install -q --target $(TOOLS)/lib uv==$(UV_VERSION) >>$(TOOLS)/log 2>&1; then \
		ln -s ../lib/bin/uv $@; \
	else \
		cat $(TOOLS)/log >&2; \
		echo "make: could not install uv; the Python at $$python needs venv or pip" >&2; \
		echo "make: (on Debian and Ubuntu: python3-venv), or install uv yourself, and try again." >&2; \
		exit 1; \
	fi
