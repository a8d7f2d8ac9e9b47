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

.PHONY: demo
demo: setup ## Play a day of a simulated cluster in front of you, in under 90 seconds
	$(RUN) -m lab demo

.PHONY: test
test: setup ## Run every test
	$(RUN) -m pytest -n 2 --dist loadgroup

.PHONY: twin
twin: setup ## Boot real machines from the templates' data and hold them to their promises (root, at most 10 minutes)
	$(RUN) -m lab.twin

.PHONY: infra
infra: setup ## Compile, compare, scan and judge what the templates would deploy
	@sh tools/scan-tools
	$(RUN) -m pytest -n 2 tests/infra

.PHONY: demo-backup
demo-backup: setup ## Lose every server in front of you, and get everything back from a snapshot
	$(RUN) -m lab demo-backup

.PHONY: conformance
conformance: setup ## Compare the Nomad stand-in with recordings, and with a real Nomad when NOMAD_BIN or PATH has one
	$(RUN) -m pytest tests/contract/nomad

.PHONY: bench
bench: setup ## Measure what is promised; writes build/bench.json
	$(RUN) -m tests.bench

.PHONY: mutants
mutants: setup ## Plant faults and see that the tests catch each of them
	$(RUN) tools/mutants.py

.PHONY: package
package: setup ## Zip what is deployed into build/app.zip
	@$(RUN) tools/package.py

.PHONY: bundle
bundle: setup ## Pack the node program into cloud-init/bundle.json
	@$(RUN) tools/bundle_node.py

.PHONY: storage
storage: setup ## Install the lab's storage account (done by itself when first needed)
	@$(RUN) -c "from lab.storage import install_azurite; print(install_azurite().script)"

.PHONY: docs
docs: setup ## Write the generated pages: settings, events, parameters, cost
	$(RUN) tools/docs.py
	$(RUN) -m tools.infra_reference
	$(RUN) -m tools.infra_cost

.PHONY: lab
lab: setup ## Start the lab and leave it running until Ctrl-C; prints the addresses
	$(RUN) -m lab up

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
