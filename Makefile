# The recipes run from the repository's root with the Python of .venv, which
# `make install` makes from $(PYTHON): `make install PYTHON=python3.12`.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
SHARED := -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install search demo test test-all lint lock clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile

install: $(INSTALLED) ## Install the package and what it needs in .venv

search: install ## Search a small network on the digits data set
	$(BIN)/python -m launch.search --config=configs/digits.py \
	    --workdir=runs/digits

demo: install ## Search, retrain, draw, export and classify digits, in ten minutes
	$(BIN)/python -m launch.search --config=configs/digits.py \
	    --workdir=runs/digits
	$(BIN)/python -m launch.retrain --config=configs/retrain_digits.py \
	    --genotype=runs/digits --workdir=runs/digits_net
	$(BIN)/python -m launch.account --genotype=runs/digits --network=cifar10
	$(BIN)/python -m launch.draw --genotype=runs/digits --output=runs/demo/cells
	$(BIN)/python -m launch.draw --workdir=runs/digits \
	    --output=runs/demo/search.gif
	rm -rf runs/demo/model
	$(BIN)/python -m launch.export --workdir=runs/digits_net \
	    --output=runs/demo/model
	$(BIN)/python -m launch.classify --config=configs/retrain_digits.py \
	    --model=runs/demo/model

test: install ## Run the tests, but for the long ones
	$(BIN)/python -m pytest $(SHARED) -m "not long"

test-all: install ## Run all tests, those of several devices and workers too
	$(BIN)/python -m pytest $(SHARED)

lint: install ## Check format and style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

lock: install ## Record the installed versions, which Bazel uses
	$(BIN)/python -m pip freeze --all --exclude-editable --exclude pip \
	    > requirements_lock.txt

clean: ## Remove .venv and caches; results in runs/ stay
	rm -rf .venv .pytest_cache .ruff_cache entrannas_tf.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml requirements.txt
	@command -v $(PYTHON) > /dev/null || { echo "$(PYTHON) is not here:" \
	    "install Python 3.10, 3.11, 3.12 or 3.13." >&2; exit 1; }
	@$(PYTHON) -c "import sys; v = sys.version_info[:2]; \
	    sys.exit(None if (3, 10) <= v <= (3, 13) else \
	    '$(PYTHON) is Python %d.%d; Python 3.10 to 3.13 is needed: ' % v + \
	    'make $(or $(MAKECMDGOALS),install) PYTHON=python3.12')"
	@$(PYTHON) -c "import ensurepip, venv" 2> /dev/null || { echo \
	    "$(PYTHON) cannot make an environment with pip: install its venv" \
	    "package (on Debian and Ubuntu: apt install python3-venv)." >&2; \
	    exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $@
