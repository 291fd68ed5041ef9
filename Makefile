# Footfall's chores. `make` alone lists them.

SHELL := /bin/bash
VENV_PYTHON := .venv/bin/python
SOURCES := edge cloud protocol footfall.py tools tests

.DEFAULT_GOAL := help
.PHONY: help setup requirements test acceptance lint format bench demo clean debian-packages

# List the targets and what each is for
help:
	@awk '/^# /{text=substr($$0, 3)} /^[a-z-]+:/{split($$1, name, ":"); if (text) printf "  make %-13s %s\n", name[1], text; text=""} /^$$/{text=""}' Makefile

# Create .venv from the pinned requirements and install what Debian must supply (skips what is already there)
setup: debian-packages .venv/.installed cloud/web/static/vendor/.fetched

# Install the packages of debian-packages.txt, or name the missing ones where that is not allowed
debian-packages:
	@tools/install_debian_packages.sh

.venv/.installed: requirements/dev.txt pyproject.toml tools/install_python_packages.sh
	@tools/install_python_packages.sh

cloud/web/static/vendor/.fetched: cloud/web/package-lock.json cloud/web/front_end.py .venv/.installed
	@tools/fetch_front_end.sh

# Compile every requirements/*.txt anew from pyproject.toml, keeping versions that still fit (UPGRADE=1 takes the newest)
requirements: .venv/.installed
	$(VENV_PYTHON) -m tools.requirements $(if $(UPGRADE),--upgrade)

# Tests start hundreds of processes, which need not compile the project anew, whatever the shell says of that.
test acceptance: export PYTHONDONTWRITEBYTECODE :=

# Run every test but the slow proofs, a file to each core (under 15 minutes; FOOTFALL_ASSETS=FOLDER adds those on real video)
test: setup
	$(VENV_PYTHON) -m pytest -m "not acceptance" --numprocesses auto --dist loadfile

# Run the slow proofs on real processes (under 60 minutes; they need FOOTFALL_ASSETS=FOLDER)
acceptance: setup
	$(VENV_PYTHON) -m pytest -m acceptance

# Check style, format and types, and change nothing
lint: .venv/.installed
	$(VENV_PYTHON) -m ruff check $(SOURCES) ansible
	$(VENV_PYTHON) -m ruff format --check $(SOURCES) ansible
	$(VENV_PYTHON) -m mypy --strict $(SOURCES)
	cd ansible && PATH="$(CURDIR)/.venv/bin:$$PATH" ansible-lint

# Mend what ruff can mend by itself
format: .venv/.installed
	$(VENV_PYTHON) -m ruff format $(SOURCES) ansible
	$(VENV_PYTHON) -m ruff check --fix $(SOURCES) ansible

# Run one benchmark with NAME=… (KEEP=1 writes its section), or all of them and write docs/benchmarks.md
bench: setup
	$(VENV_PYTHON) -m tools.bench $(NAME) $(if $(KEEP),--keep)

# Show the product at work on a made-up shop until Ctrl-C or SECONDS=… (SEED=… another day; SOURCE=rtsp://… MODEL=… a camera)
demo: .venv/.installed cloud/web/static/vendor/.fetched
	$(VENV_PYTHON) -m tools.demo

# Remove .venv and what tools leave behind
clean:
	rm -rf .venv cloud/web/static/vendor .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
