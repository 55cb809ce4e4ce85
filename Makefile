# make demo            the example app on http://localhost:3000, against the bundled emulator
# make demo LIVE=1     ... against https://openrouter.ai
# make demo PORT=4000  ... on another port
# make test            every test, with coverage
# make browser         only the tests in headless Chromium (apt install chromium)
# make lint            ruff and mypy
# make wheel           build the wheel and sdist, and test the wheel without the source tree
# make clean           remove what the others made
.POSIX:

PYTHON = python3
PORT = 3000
LIVE =
BIN = .venv/bin

demo: .venv/.demo
	@PORT='$(PORT)' LIVE='$(LIVE)' $(BIN)/python -m example_app

test: .venv/.ready
	$(BIN)/python -m pytest --ignore=tests/packaging --cov=flask_openrouter --cov-branch --cov-fail-under=100

browser: .venv/.ready
	$(BIN)/python -m pytest tests/browser

lint: .venv/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

wheel: .venv/.ready
	rm -rf dist
	$(BIN)/python -m pip install --quiet build twine
	$(BIN)/python -m build --quiet --outdir dist .
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python -m pytest tests/packaging

clean:
	rm -rf .venv .venv-node .coverage htmlcov dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo 'This needs Python 3.10 or newer. Name one: make PYTHON=python3.12 ...' >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { \
		echo 'Making .venv failed. On Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@touch $@

.venv/.demo: .venv/.python pyproject.toml
	$(BIN)/python -m pip install --quiet -e . --group demo
	@touch $@

.venv/.ready: .venv/.python pyproject.toml
	$(BIN)/python -m pip install --quiet -e . --group test
	@touch $@ .venv/.demo

.venv/.lint: .venv/.ready
	$(BIN)/python -m pip install --quiet --group lint
	@touch $@

.PHONY: demo test browser lint wheel clean
