# What a person does with the source tree. `make` alone lists it.

PYTHON ?=
CONFIG ?=
FUZZ_SECONDS ?= 60
export PYTHON

RUN_READY := .venv/.ready-to-run
DEV_READY := .venv/.ready-to-develop

.DEFAULT_GOAL := help
.PHONY: help run compile test lint bench fuzz

help:
	@echo "make run     install into .venv and start OneProxy on 127.0.0.1 (CONFIG=FILE for a file of yours)"
	@echo "make compile compile what every message passes: two fifths less CPU for a call"
	@echo "make test    install what the tests need, then run them all"
	@echo "make lint    formatting, rules, types, and which room may import which"
	@echo "make bench   CPU per message, and per call (against Kamailio if it is there)"
	@echo "make fuzz    look for messages that break something (FUZZ_SECONDS=60 for each of 3 targets)"

run: $(RUN_READY)
	@exec .venv/bin/oneproxy run $(if $(CONFIG),--config '$(CONFIG)')

compile: $(RUN_READY)
	@sh deploy/compile.sh

test: $(DEV_READY)
	@sh tests/setup.sh
	@.venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(DEV_READY)
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy src tests
	MYPYPATH=bench:bench/trunks .venv/bin/mypy bench
	.venv/bin/lint-imports

bench: $(DEV_READY)
	@sh tests/setup.sh
	.venv/bin/python bench/run.py

fuzz: $(DEV_READY)
	.venv/bin/python fuzz/run.py --seconds $(FUZZ_SECONDS)

$(RUN_READY): pyproject.toml
	@sh deploy/make-venv.sh
	@touch $@

$(DEV_READY): pyproject.toml
	@sh deploy/make-venv.sh dev
	@touch $@ $(RUN_READY)
