.DEFAULT_GOAL := help
SHELL := /bin/sh
RUN := .venv/bin/python
BIN := .venv/bin
UV := $(shell command -v uv || echo .tools/uv/bin/uv)

.PHONY: help
help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Make .venv (done by every other command)
	@sh tools/setup

.PHONY: check
check: setup ## Lint, types, imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

.PHONY: format
format: setup ## Format the code and mend what the linter can mend
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

.PHONY: requirements
requirements: setup ## Compile both requirements files from pyproject.toml
	$(UV) pip compile --quiet --python .venv/bin/python --generate-hashes --custom-compile-command "make requirements" pyproject.toml -o requirements.txt
	$(UV) pip compile --quiet --python .venv/bin/python --generate-hashes --custom-compile-command "make requirements" --extra dev pyproject.toml -o requirements-dev.txt
