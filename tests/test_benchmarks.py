"""The benchmark compares equal work: every candidate does what it is timed for."""

from __future__ import annotations

import json
import logging
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPSConnection
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import flask
import pytest
from cases import case
from components import require
from flask import Flask

from benchmarks import CANDIDATES, PEERS, ROOT, pages
from benchmarks.__main__ import main
from benchmarks.candidates import GUARDED, OPEN, Candidate, connected, find
from benchmarks.subjects.cookies import GOALS, sizes_of
from benchmarks.subjects.stored_keys import apps
from benchmarks.subjects.views import ROUTES, calls_of
from benchmarks.tools.browser import Browser, approve
from benchmarks.tools.provider import Provider, running_provider
from benchmarks.tools.record import Record
from benchmarks.tools.rounds import interleaved, over
from benchmarks.tools.rows import Figure, Goal, Result, Row
from benchmarks.tools.table import tables

WITH_LOGIN = ("floor", "Flask-Dance", "Authlib", "ours")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """The benchmark's app silences the logger of the whole process."""
    logger = logging.getLogger("flask_openrouter")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture
def candidate(request: pytest.FixtureRequest) -> Candidate:
    module = CANDIDATES[request.param]
    if module in PEERS and find_spec(module) is None:
        require(module, "pip install --group peers")
    return find(request.param)


@pytest.fixture
def app(candidate: Candidate, provider: Provider) -> Flask:
    return candidate.create_app(provider.url)


def every(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("candidate", names, indirect=True)


@every(*WITH_LOGIN)
def test_a_login_asks_the_provider_for_a_code_with_s256(
    candidate: Candidate, app: Flask, provider: Provider
) -> None:
    browser = Browser(app)
    response = browser.get(candidate.LOGIN or "")
    assert response.status_code in (302, 303)
    assert (response.location or "").startswith(f"{provider.url}/auth?")
    query = parse_qs(urlsplit(response.location or "").query)
    assert query["code_challenge_method"] == ["S256"]
    assert len(query["code_challenge"][0]) == 43
    assert browser.cookies


@every(*WITH_LOGIN)
def test_a_callback_buys_the_key_once_and_stores_it(
    candidate: Candidate, app: Flask, provider: Provider
) -> None:
    """The provider answers 200 to the right code verifier only, and once."""
    before = provider.counts()
    browser, key = connected(candidate, app)
    after = provider.counts()
    assert (after.exchanges - before.exchanges, after.refused - before.refused) == (1, 0)
    assert browser.get(GUARDED).data.decode() == key


@every(*WITH_LOGIN)
def test_a_callback_of_another_browser_buys_nothing(
    candidate: Candidate, app: Flask, provider: Provider
) -> None:
    # Authlib and Flask-Dance raise.
    app.testing = False
    app.logger.disabled = True
    callback, _ = approve(Browser(app).get(candidate.LOGIN or ""))
    before = provider.counts()
    other = Browser(app)
    other.get(callback)
    assert provider.counts() == before
    assert other.get(GUARDED).status_code in (302, 303)


def test_keys_on_a_server_belong_to_the_browser_that_connected(provider: Provider) -> None:
    with apps(provider.url) as kinds:
        for kind, own in kinds.items():
            for name, app in own.items():
                with case(f"{kind}, {name}"):
                    browser, key = connected(find(name), app)
                    assert browser.get(GUARDED).data.decode() == key
                    # What is stored is found by the browser's cookie, and is not in it.
                    assert len(str(browser.cookies)) < 300
                    assert Browser(app).get(GUARDED).status_code in (302, 303)


@every("Flask-Login", *WITH_LOGIN)
def test_the_guarded_view_answers_with_the_key_or_refuses(candidate: Candidate, app: Flask) -> None:
    browser, key = connected(candidate, app)
    for _ in range(2):
        response = browser.get(GUARDED)
        assert (response.status_code, response.data.decode()) == (200, key)
    refused = Browser(app).get(GUARDED)
    assert refused.status_code in (302, 303)
    assert (refused.location or "").startswith(candidate.LOGIN or "/sign-in")


@every(*CANDIDATES)
def test_each_timed_call_gets_the_response_that_is_timed(candidate: Candidate, app: Flask) -> None:
    statuses = {key: str(timed())[2] for key, timed in calls_of(candidate, app).items()}
    expected = {"open": "2", "guarded": "2", "refused": "3", "login": "3"}
    if candidate.LOGIN is None:
        del expected["login"]
    if candidate is find("bare"):
        del expected["refused"]
    assert statuses == expected


@every(*CANDIDATES)
def test_the_open_view_is_the_same_in_all_apps(candidate: Candidate, app: Flask) -> None:
    """It is visited over https, and answers with as many bytes as a guarded view."""
    app.add_url_rule("/where", "where", lambda: flask.request.url)
    browser = Browser(app)
    assert browser.get("/where").data == b"https://app.example/where"
    assert browser.get(OPEN).data == b"sk-or-v1-" + 64 * b"0"
    assert not browser.cookies


@every("floor", "ours")
def test_the_key_is_encrypted_and_bound_to_its_browser(candidate: Candidate, app: Flask) -> None:
    """The cookies of the other candidates can be read."""
    browser, _ = connected(candidate, app)
    name = "__Host-openrouter" if candidate is find("ours") else "session"
    value = browser.cookies[name]
    middle = len(value) // 2
    other = "B" if value[middle] == "A" else "A"
    browser.cookies[name] = value[:middle] + other + value[middle + 1 :]
    assert browser.get(GUARDED).status_code == 303


@every("ours")
def test_our_cookies_stay_small_however_many_logins_are_abandoned(
    candidate: Candidate, app: Flask
) -> None:
    *_, largest = sizes_of(candidate, app)
    assert largest <= 4093


def test_the_provider_refuses_a_wrong_verifier_and_a_used_code() -> None:
    good = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU.1"  # of the verifier ""
    json_type, form_type = "application/json", "application/x-www-form-urlencoded"
    with running_provider() as provider:
        tls = ssl.create_default_context(cafile=os.environ["REQUESTS_CA_BUNDLE"])
        connection = HTTPSConnection(urlsplit(provider.url).netloc, timeout=5, context=tls)
        try:
            for body, kind, status in (
                ('{"code": "a.1", "code_verifier": "b"}', json_type, 403),
                ("code=a.2&code_verifier=b", form_type, 403),
                (json.dumps({"code": good, "code_verifier": ""}), json_type, 200),
                (json.dumps({"code": good, "code_verifier": ""}), json_type, 403),
            ):
                connection.request("POST", "/api/v1/auth/keys", body, {"Content-Type": kind})
                response = connection.getresponse()
                assert (response.status, b"Invalid" in response.read()) == (status, status == 403)
        finally:
            connection.close()
        assert provider.counts() == (1, 1, 3)


def test_a_fresh_process_holds_what_the_candidate_needs_alone() -> None:
    """Imports of the benchmark would count as bare Flask's, and hide those of the candidates."""
    program = """
import sys, flask
before = set(sys.modules)
import benchmarks.candidates
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert {name.partition(".")[0] for name in done.stdout.split()} == {"benchmarks"}
    assert "benchmarks.tools.provider" not in done.stdout


# -- the figures --------------------------------------------------------------------------------


def test_the_order_rotates_from_round_to_round() -> None:
    seen: list[str] = []

    def measure(name: str) -> float:
        seen.append(name)
        return float(len(seen))

    figures = interleaved({n: lambda n=n: measure(n) for n in "abc"}, 3)  # type: ignore[misc]
    assert "".join(seen) == "abcbcacab"
    assert figures == {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]}
    assert over({"a": [3.0], "b": [1.0]}, "b") == {"a": [2.0]}


def test_ratios_are_taken_round_by_round() -> None:
    row = Row("x", "µs", {"floor": [1.0, 10.0, 100.0], "ours": [2.0, 10.0, 150.0]}, base="floor")
    assert row.ratios() == {"ours": Figure(1.5, 1.25, 1.75)}
    assert row.figures()["ours"].median == 10
    with pytest.raises(ValueError, match="data point"):
        Figure.of([])


@pytest.mark.parametrize(
    ("goal", "is_met"),
    [
        (Goal(most=1.5), True),
        (Goal(most=1.4), False),
        (Goal(least=1.5), True),
        (Goal(least=1.6), False),
        (Goal(most=3, of="value"), True),
        (Goal(most=2, of="value"), False),
        (Goal(most=1, column="theirs"), None),
        (None, None),
    ],
)
def test_a_goal_is_met_or_missed(goal: Goal | None, is_met: bool | None) -> None:
    row = Row("x", "µs", {"floor": [2.0], "ours": [3.0]}, base="floor", goal=goal)
    assert row.is_met() is is_met


def example_record() -> Record:
    times = {"floor": [100.0, 100.0, 100.0], "ours": [100.0, 110.0, 120.0]}
    login = Row("login", "µs", times, base="floor", goal=Goal(most=1.05))
    other = Row("lookup", "µs", {"1,000 rows": [1.0], "2,000 rows": [2.0]})
    record = Record.of_this_machine(rounds=1, quick=True)
    record.results += [Result("b", [other]), Result("a", [login]), Result("c", skipped="no wrk")]
    return record


def test_the_table_shows_medians_ratios_and_verdicts() -> None:
    text = tables(example_record().results)
    assert "| 100 µs, 1.00 |" in text
    assert "| 110 µs, 1.10 (1.05..1.15) | ≤ 1.05 of floor: missed |" in text
    assert text.startswith("| what  | bare | floor ")
    assert "\n\n### B\n\n| what   | 1,000 rows | 2,000 rows | goal |\n" in text
    assert text.endswith("\n\n* Not run: c. no wrk.\n")
    assert len({line.count("|") for line in text.split("\n\n")[0].splitlines()}) == 1


def test_a_record_is_written_and_read_whole(tmp_path: Path) -> None:
    record = example_record()
    record.write(tmp_path / "figures.json")
    assert Record.read(tmp_path / "figures.json") == record
    assert record.packages["flask"]
    assert record.only("c").results == [Result("c", skipped="no wrk")]
    with pytest.raises(KeyError):
        record.only("c", "d")


def test_the_tables_replace_those_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{pages.BEGIN}old\n{pages.END}after\n", encoding="utf-8")
    for _ in range(2):
        pages.write(page, "new\n")
        text = page.read_text(encoding="utf-8")
        assert text == f"before\n{pages.BEGIN}\nnew\n\n{pages.END}after\n"


@pytest.mark.parametrize("options", [["--quick"], ["views"]])
def test_the_documentation_takes_whole_runs_only(options: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--write-docs", *options])


@pytest.mark.parametrize("page", [pages.COMPARISON, pages.SCALE], ids=lambda page: page.name)
def test_the_page_has_the_tables_of_a_whole_run(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count(pages.BEGIN) == text.count(pages.END) == 1
    written = text.partition(pages.BEGIN)[2].partition(pages.END)[0]
    assert " 21 rounds. " in written
    assert "quick form" not in written
    if page == pages.COMPARISON:
        _, *columns, _ = (cell.strip() for cell in written.strip().splitlines()[0].split("|")[1:-1])
        assert columns == list(CANDIDATES)
        for what in [*GOALS, *(what for what, *_ in ROUTES.values())]:
            assert f"\n| {what}" in written
