"""Change one thing in a module, and see whether a test notices: ``make mutation``.

mutmut's own runner leaves out constants, properties and other decorated functions, which here are
regular expressions, limits and certificates; and its trampolines hold the arguments of each call,
which the tests for leaks take for leaks. So here a fork of a pytest that has collected its tests
gets the changed code into its functions, and runs the tests that execute the changed lines, fastest
first, until one fails. So does a changed constant; any other change gets a pytest of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import accumulate
from pathlib import Path
from types import CodeType, FunctionType, MappingProxyType, ModuleType
from typing import Any

import coverage
import hypothesis
import pytest
from mutants import Mutant, mutants_of

ROOT = Path(__file__).parents[2]
PACKAGE = "flask_openrouter"
#: What became of each mutant in the last run, for ``--again``.
RESULTS = ROOT / "build" / "mutation"
#: The status of a fork that could not change the module in place; none of pytest's.
_NOT_IN_PLACE = 9
#: The types of constants that are changed in place.
_CONSTANTS = {str, bytes, int, float, tuple, set, range, re.Pattern, MappingProxyType}
#: In percent, for each module.
LEAST_SCORE = 92

#: Each module, and the tests that are about it.
TESTS = {
    "login/logins": (
        "login/test_logins_[cfmw]* login/test_logins_state.py "
        "login/test_callback_races.py login/test_cookies.py login/test_parked.py "
        "login/test_owner_accounts.py views/test_login* flow/test_login* flow/test_sessions*"
    ),
    "login/owner": (
        "login/test_owner* login/test_account.py test_connection* storage/test_owner_ids.py "
        "integrations/test_flask_login.py login/test_claim.py login/test_fallback.py"
    ),
    "login/claim": "login/test_claim.py",
    "login/imported": "login/test_imported.py",
    "login/visitor_id": "login/test_visitor_id.py",
    "login/cookies": (
        "login/test_cookies* login/test_logins_[cfmw]* login/test_owner.py views/test_login* "
        "login/test_logins_state.py storage/test_cookie* doctor/test_doctor_error_page.py"
    ),
    "login/fallback": "login/test_fallback.py test_guard_fallback.py",
    "login/owned_key": (
        "login/test_owned_key* login/test_rejected.py login/test_parked.py login/test_claim.py "
        "login/test_account.py login/test_fallback.py flow/test_incidents.py test_connection* "
        "test_guard_* test_log.py test_signals.py views/test_connection*"
    ),
    "login/rejected": "login/test_rejected.py login/test_owned_key* flow/test_incidents.py",
    "login/parked": "login/test_parked*",
    "connection": (
        "test_connection* flow/test_for_owner.py flow/test_sdk_helpers.py flow/test_login_flow.py "
        "login/test_[bfv]* views/test_usage* pages/test_responses_problems.py"
    ),
    "guard": (
        "test_guard* web/test_* flow/test_incidents.py login/test_fallback.py "
        "login/test_logins_finished.py integrations/test_rest_extensions.py"
    ),
    "pages/urls": "pages/test_urls* pages/test_visit* views/test_login_[cps]* test_guard[._][pr]*",
    "client/base_url": "client/test_base_url.py",
    "client/credentials": "client/test_credentials* client/test_auth* client/test_session.py",
    "client/phrases": "client/test_phrases.py client/test_reasons* client/test_error_forms.py",
    "client/reasons": "client/test_reasons* client/test_phrases.py client/test_error_forms.py",
    "client/transport": (
        "client/test_t* client/test_s[!d]* client/test_ex* client/test_rac* test_connection.py"
    ),
    "storage/calls": "storage/test_vault* storage/test_time_limit.py",
    "storage/cipher": "storage/test_cipher* storage/test_vault*",
    "storage/cookie": "storage/test_cookie* storage/test_rotation* storage/test_vault_e*",
    "storage/pruning": "storage/test_pruning.py",
    "storage/vault": (
        "storage/test_vault* storage/test_rotation* storage/test_pruning.py "
        "storage/test_time_limit.py login/test_owned_key_rejected.py login/test_imported.py "
        "login/test_owner_moved.py login/test_claim.py flow/test_incidents.py"
    ),
}


class Bench:
    """A pytest plugin that runs the collected tests again and again, on mutants of one module."""

    def __init__(self, copy: Path, module: str, known: set[str], longest: float) -> None:
        self._file = copy / PACKAGE / f"{module}.py"
        self._name = f"{PACKAGE}.{module.replace('/', '.')}"
        self._log = copy / "pytest.log"
        self._notes = copy / "notes.json"
        self._paths = [
            str(path) for p in TESTS[module].split() for path in sorted((copy / "tests").glob(p))
        ]
        self._source = self._file.read_text()
        self._known = known
        self._results = results_of(module)
        self._longest = longest
        # The forks write theirs into the log.
        self._report = os.fdopen(os.dup(sys.stderr.fileno()), "w", buffering=1)
        #: Of each test: its time by the clock, and by the processor, which a busy machine changes
        #: less.
        self._seconds: dict[str, float] = {}
        self._work: dict[str, float] = {}
        self._tests_by_line: dict[int, set[str]] = {}
        self._killer = copy / "killer"
        #: How many mutants each test has killed: who killed one often kills the next.
        self._kills: Counter[str] = Counter()
        #: Whether a mutant is tried again, with the test that killed it first.
        self._is_second = False
        #: Mutants of functions that cannot be changed in place.
        self._later: list[str] = []
        self.outcomes: dict[str, list[str]] = {"killed": [], "timeout": [], "survived": []}

    def run(self) -> None:
        """Try out every mutant."""
        # Forked, so that this process never imports what is changed.
        if fork(lambda: self._pytest(self), self._log) != 0:
            sys.exit(f"The tests fail without any change:\n{self._log.read_text()[-3000:]}")
        self.outcomes, self._later, self._seconds, self._work = json.loads(self._notes.read_text())
        for mutant in mutants_of(self._source):
            if mutant.diff in self._later:
                self._try_out(mutant, lambda: self._pytest(self._choose(self._seconds)))

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Measure, and try out the mutants of functions."""
        importlib.import_module(self._name)
        if fork(lambda: self._measure(session), self._log) != 0:
            session.testsfailed = 1
            return True
        by_line, self._seconds, self._work = json.loads(self._notes.read_text())
        self._tests_by_line = {int(line): set(tests) for line, tests in by_line.items()}
        functions = [
            function
            for function in gc.get_objects()
            if type(function) is FunctionType and function.__code__.co_filename == str(self._file)
        ]
        for mutant in mutants_of(self._source):
            self._try_out(mutant, lambda m=mutant: self._run_changed(session, functions, m))
        self._notes.write_text(json.dumps([self.outcomes, self._later, self._seconds, self._work]))
        return True

    def _measure(self, session: pytest.Session) -> int:
        """Run all tests, and note which of them runs each line, and in what time."""
        measured = coverage.Coverage(data_file=None, config_file=False, include=[str(self._file)])
        measured.start()
        seconds, work = {}, {}
        for item in session.items:
            measured.switch_context(item.nodeid)
            started, began = time.monotonic(), time.process_time()
            # Some have time limits, and this machine may be busy.
            if not any(run_tests(session, [item]) == 0 for _ in range(3)):
                print(f"{item.nodeid} fails without any change, too", file=self._report)
                continue
            seconds[item.nodeid] = time.monotonic() - started
            work[item.nodeid] = time.process_time() - began
        measured.stop()
        by_line = measured.get_data().contexts_by_lineno(str(self._file))
        self._notes.write_text(json.dumps([by_line, seconds, work]))
        return int(not seconds)

    def _run_changed(
        self, session: pytest.Session, functions: list[FunctionType], mutant: Mutant
    ) -> int:
        code, lines = compile(mutant.source, self._file, "exec"), mutant.lines
        if not lines:
            names = change_constants(self._name, code)
            readers = [f for f in functions if names & {*f.__code__.co_names}]
            lines = {line for f in readers for _, _, line in f.__code__.co_lines()}
        if not lines or (mutant.lines and not change(functions, code)):
            return _NOT_IN_PLACE
        found = set().union(*(self._tests_by_line.get(line, ()) for line in lines))
        chosen = self._choose(found & self._seconds.keys() or self._seconds)
        chosen.pytest_collection_modifyitems(session.items)
        session.config.pluginmanager.register(chosen)
        # What was derived from a constant when it was imported may be as it was.
        return run_tests(session, session.items) or (0 if mutant.lines else _NOT_IN_PLACE)

    def _choose(self, tests: Iterable[str]) -> Chosen:
        """Return the tests to run, best first, for as many seconds as were asked for.

        The best ones are those that have killed most for the time they take.
        """
        last = self._killer.read_text() if self._is_second else None
        best = sorted(
            tests,
            key=lambda test: (test != last, -(self._kills[test] + 0.1) / self._work[test]),
        )
        until = accumulate(self._work[test] for test in best)
        few = [test for test, sum_ in zip(best, until, strict=True) if sum_ <= self._longest]
        patience = 4 if self._is_second else 1
        limits = {test: patience * (5 + 5 * self._seconds[test]) for test in few}
        return Chosen(limits, self._killer)

    def _try_out(self, mutant: Mutant, job: Callable[[], int]) -> None:
        if mutant.diff in self._known:
            self.outcomes["killed"].append(mutant.diff)
            return
        # In the file too, for the tests that start programs.
        self._file.write_text(mutant.source)
        started = time.monotonic()
        try:
            status = fork(job, self._log, seconds=120)
            # time: a time limit may have failed by chance, but not twice, with more time.
            if status in (1, -signal.SIGALRM) and time.monotonic() - started > 1:
                self._is_second = True
                status = fork(job, self._log, seconds=480)
        finally:
            self._file.write_text(self._source)
            self._is_second = False
        if status == _NOT_IN_PLACE:
            self._later.append(mutant.diff)
            return
        if status == 1:
            self._kills[self._killer.read_text()] += 1
        outcome = {0: "survived", -signal.SIGALRM: "timeout"}.get(status, "killed")
        self.outcomes[outcome].append(mutant.diff)
        # For --again after an interruption.
        killed = [*{*self._known, *self.outcomes["killed"]}]
        self._results.write_text(json.dumps({**self.outcomes, "killed": killed}))
        if outcome != "killed":
            print(f"{self._name}: {outcome}\n{mutant.diff}\n", file=self._report)

    def _pytest(self, plugin: object) -> int:
        return pytest.main(["-xq", "--tb=short", "-p", "no:cacheprovider", *self._paths], [plugin])


class Chosen:
    """A pytest plugin: run these tests only, in this order, and none for ever."""

    def __init__(self, limits: dict[str, float], killer: Path) -> None:
        self._limits = limits
        self._rank = {test: rank for rank, test in enumerate(limits)}
        self._killer = killer

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid in self._rank]
        items.sort(key=lambda item: self._rank[item.nodeid])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._killer.write_text(nodeid)
        signal.setitimer(signal.ITIMER_REAL, self._limits[nodeid])


def run_tests(session: pytest.Session, items: list[pytest.Item]) -> int:
    """Run tests until one fails; return 1 if one did, or else 0."""
    session.testsfailed = 0
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            break
    return int(session.testsfailed > 0)


def change(functions: list[FunctionType], module: CodeType) -> bool:
    """Give the functions of a module, and all that they made, the code of a changed one.

    Return whether that could be done: not if one uses fewer variables of the function around it.
    """
    found: dict[tuple[str, int], CodeType] = {}
    waiting = [module]
    for code in waiting:
        found[code.co_name, code.co_firstlineno] = code
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    for function in functions:
        old = function.__code__
        new = found.get((old.co_name, old.co_firstlineno), old)
        if len(new.co_freevars) != len(old.co_freevars):
            return False
        function.__code__ = new
    return True


def change_constants(name: str, code: CodeType) -> set[str]:
    """Give the constants of a module, wherever they were imported, the values of a changed one.

    Return the names of those that have another value.
    """
    spare = ModuleType(name)
    spare.__package__ = name.rpartition(".")[0]
    exec(code, vars(spare))  # noqa: S102
    old, new = vars(sys.modules[name]), vars(spare)
    names = {n for n in old if type(old[n]) in _CONSTANTS and n in new and new[n] != old[n]}
    for module in [*sys.modules.values()]:
        for n in names & vars(module).keys():
            if vars(module)[n] is old[n] and module is not sys.modules[name]:
                setattr(module, n, new[n])
    old.update({n: new[n] for n in names})
    return names


def fork(job: Callable[[], int], log: Path, seconds: int = 0) -> int:
    """Run a job in a fork and return its status, negative for the signal that ended it.

    A signal ends it after so many seconds, if not 0.
    """
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = 3
        try:
            os.setpgid(0, 0)
            signal.alarm(seconds)
            # Mutants of one second and one length would share their compiled file.
            sys.dont_write_bytecode = bool(seconds)
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            status = int(job())
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(ProcessLookupError):
        # What its tests had started.
        os.killpg(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(status)


def results_of(module: str) -> Path:
    """Return the file with what became of each mutant of a module in the last run."""
    return RESULTS / f"{module.replace('/', '-')}.json"


def try_module(module: str, again: bool, longest: float) -> tuple[list[Any], bool]:
    """Try out every mutant of a module; return its row of the table, and whether it is enough."""
    results = results_of(module)
    results.parent.mkdir(parents=True, exist_ok=True)
    known = set(json.loads(results.read_text())["killed"]) if again and results.exists() else set()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder).resolve() / "copy"
        ignored = shutil.ignore_patterns(".*", "dist", "build", "__pycache__", "node_modules")
        shutil.copytree(ROOT, copy, ignore=ignored)
        os.chdir(copy)
        sys.path.insert(0, str(copy))
        bench = Bench(copy, module, known, longest)
        bench.run()
        sys.path.remove(str(copy))
        os.chdir(ROOT)
    results.write_text(json.dumps(bench.outcomes, indent=1))
    killed, timeout, survived = (len(found) for found in bench.outcomes.values())
    total = killed + timeout + survived
    score = 100 * (killed + timeout) / total
    minutes = f"{(time.monotonic() - started) / 60:.0f} min"
    row = [f"`{module}`", total, killed, timeout, survived, f"{score:.1f}%", minutes]
    return row, score >= LEAST_SCORE


def main() -> None:
    """Try out the modules named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("module", nargs="*", help=f"of {', '.join(TESTS)}; without one: all")
    parser.add_argument("--again", action="store_true", help="only what survived the last run")
    parser.add_argument(
        "--seconds", type=float, default=30, help="of processor time for each mutant at most"
    )
    parser.add_argument("--tests", help="instead of the module's own, such as 'flow/test_s*'")
    arguments = parser.parse_args()
    if arguments.tests:
        TESTS.update(dict.fromkeys(TESTS, arguments.tests))
    # With them, pytest would import the package here, and schemathesis, which is slow.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    # The same examples each time, and the first that fails is enough.
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile(
        "mutation", derandomize=True, database=None, deadline=None, phases=phases
    )
    hypothesis.settings.load_profile("mutation")
    found = [
        try_module(module, arguments.again, arguments.seconds)
        for module in arguments.module or TESTS
    ]
    print("| Module | Mutants | Killed | Timeout | Survived | Score | Time |")
    print("|---|---|---|---|---|---|---|")
    for row, _ in found:
        print("|", " | ".join(map(str, row)), "|")
    sys.exit(not all(is_enough for _, is_enough in found))


if __name__ == "__main__":
    main()
