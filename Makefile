# make demo            the example app on http://localhost:3000, against the bundled emulator
# make demo LIVE=1     ... against https://openrouter.ai
# make demo APP=minimal  ... the example in one file, instead of the chat
# make demo PORT=4000  ... on another port
# make test            every test, with coverage, in two more processes than processors;
#                      OPENROUTER_TEST_EVERY_VARIANT=1 crosses every fault with every storage
# make browser         only the tests in browsers
#                      (apt install chromium firefox-esr webkit2gtk-driver xvfb)
# make lint            ruff, codespell, mypy, pyright; the public API is typed completely
# make docs            build the documentation into docs/_build/html; warnings are errors
# make translations    bring new texts into the catalogues of the languages, and compile these
# make wheel           build the wheel and sdist, and test the wheel without the source tree
# make versions        the tests of the core on every supported Python that is here, and with the
#                      oldest dependencies; SESSIONS=oldest and TESTS=tests/flow choose
# make fuzz            look for inputs that break the parsers, for FUZZ_SECONDS each
# make audit           ask whether a locked dependency has a known vulnerability
# make mutation        change one thing at a time in the core; does a test notice? (an hour;
#                      MODULES="guard owner" for some)
# make bench           measure against hand-written logins and other libraries; QUICK=1 for a look
# make clients         run other people's programs against the emulator, each with packages of its
#                      own; CLIENTS=--quick for what CI runs, CLIENTS="openai gptme" for some
# make hooks           run the linters before each git commit
# make lock            write .ci/requirements.txt anew, with the newest versions
# make clean           remove what the others made
.POSIX:

PYTHON = python3
PORT = 3000
LIVE =
APP = chat
QUICK =
SESSIONS = newest oldest
TESTS =
# The address of the repository, such as https://github.com/owner/name: if it is set, the README and
# the metadata of the wheel link to it. Without it, the links work in a checkout and in the sdist.
REPOSITORY =
MODULES =
CLIENTS =
FUZZ_SECONDS = 60
CATALOGUES = flask_openrouter/translations
BIN = .venv/bin
LOCK = .ci/requirements.txt
# The lock file as constraints: `-e .` and the dependency groups stay in charge of what is installed.
# It has no hashes, because one hash makes pip demand them all, and an editable project has none.
INSTALL = $(BIN)/python -m pip install --quiet -c $(LOCK) --build-constraint $(LOCK)

demo: .venv/.demo
	@PORT='$(PORT)' LIVE='$(LIVE)' APP='$(APP)' $(BIN)/python -m example_app

# With bytecode, whatever the environment says: hundreds of processes start.
test: .venv/.ready
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n auto --dist worksteal --ignore-glob='tests/packaging/test_built_*' --cov=flask_openrouter --cov-branch --cov-fail-under=100

browser: .venv/.ready
	$(BIN)/python -m pytest --every-variant tests/browser

# pyright reads the packages of the first python on the path.
lint: .venv/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell README.md CHANGES.md docs .github flask_openrouter example_app benchmarks tests
	$(BIN)/mypy
	PATH="$$PWD/$(BIN):$$PATH" pyright
	@said=$$(PATH="$$PWD/$(BIN):$$PATH" pyright --ignoreexternal --verifytypes flask_openrouter) || { \
		echo "$$said" >&2; exit 1; }; echo "$$said" | grep 'completeness score'

docs: .venv/.ready
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

translations: .venv/.ready
	$(BIN)/pybabel -q extract -F pyproject.toml --add-location=file --no-wrap --omit-header \
		-o $(CATALOGUES)/flask_openrouter.pot flask_openrouter
	$(BIN)/pybabel -q update -D flask_openrouter -i $(CATALOGUES)/flask_openrouter.pot -d $(CATALOGUES) \
		--no-wrap --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date
	$(BIN)/pybabel -q compile -D flask_openrouter -d $(CATALOGUES)

wheel: .venv/.build
	rm -rf dist
	@source=.; if [ -n '$(REPOSITORY)' ]; then source=$$(mktemp -d) && \
		$(BIN)/python .ci/published.py '$(REPOSITORY)' "$$source"; fi && \
		$(BIN)/python -m build --quiet --no-isolation --outdir dist "$$source"
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python -m pytest tests/packaging

versions: .venv/.dev
	$(BIN)/nox --noxfile .ci/noxfile.py --envdir "$$PWD/.nox" --session $(SESSIONS) -- $(TESTS)

fuzz: .venv/.fuzz
	$(BIN)/python tests/fuzz callback --seconds $(FUZZ_SECONDS)
	$(BIN)/python tests/fuzz answer --seconds $(FUZZ_SECONDS)
	$(BIN)/python tests/fuzz stream --seconds $(FUZZ_SECONDS)

audit: .venv/.dev
	PATH="$$PWD/$(BIN):$$PATH" .ci/audit

mutation: .venv/.mutation
	$(BIN)/python tests/mutation/mutate.py $(MODULES)

bench: .venv/.ready
	QUICK='$(QUICK)' $(BIN)/python -m benchmarks

clients: .venv/.demo
	$(BIN)/python tests/clients $(CLIENTS)

hooks: .venv/.lint .venv/.dev
	$(BIN)/pre-commit install --config .ci/pre-commit.yaml

lock: .venv/.dev
	UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 \
		--all-extras --group test --group lint --group demo --group docs --group fuzz \
		--group mutation --group build --group dev --group mysql --annotation-style line \
		--custom-compile-command 'make lock' --output-file $(LOCK) pyproject.toml

clean:
	rm -rf .venv .venv-node .clients .coverage htmlcov dist build docs/_build .nox .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.python: $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo 'This needs Python 3.10 or newer. Name one: make PYTHON=python3.12 ...' >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { \
		echo 'Making .venv failed. On Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	$(BIN)/python -m pip install --quiet -c $(LOCK) pip
	@touch $@

.venv/.demo: .venv/.python pyproject.toml
	$(INSTALL) -e . --group demo
	@touch $@

.venv/.ready: .venv/.python pyproject.toml
	$(INSTALL) -e . --group test
	@touch $@ .venv/.demo

.venv/.mysql: .venv/.ready
	$(INSTALL) --group mysql
	@touch $@

.venv/.lint: .venv/.ready
	$(INSTALL) --group lint
	@touch $@

.venv/.build: .venv/.ready
	$(INSTALL) --group build
	@touch $@

.venv/.fuzz: .venv/.ready
	$(INSTALL) --group fuzz
	@touch $@

.venv/.mutation: .venv/.ready
	$(INSTALL) --group mutation
	@touch $@

.venv/.dev: .venv/.python pyproject.toml
	$(INSTALL) --group dev
	@touch $@

.PHONY: demo test browser lint docs translations wheel versions fuzz audit mutation bench clients hooks lock clean
