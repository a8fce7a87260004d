# Every target only calls the stdlib bootstrap, which makes .venv once and then runs the `workshop` command in it.
PYTHON ?= python3

.PHONY: lab test doctor bench slides clean help
.DEFAULT_GOAL := help

help:                       ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*##/ -/; s/^/  make /'

lab:                        ## set up, then open JupyterLab on work/
	@$(PYTHON) bootstrap.py lab

test:                       ## set up, then run every test
	@$(PYTHON) bootstrap.py test

doctor:                     ## what this machine has, and what each optional tool is for
	@$(PYTHON) bootstrap.py doctor

bench:                      ## measure the kernels against hand-written peers
	@$(PYTHON) bootstrap.py bench kernels

slides:                     ## build the decks into slides/dist/
	@$(PYTHON) bootstrap.py slides build

clean:                      ## remove .venv and caches (work/ is yours and stays)
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis slides/dist
