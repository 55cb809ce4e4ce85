"""The benchmark compares equal work: every candidate does what it is timed for."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from components import require

from benchmarks import ROOT
from benchmarks.browser import Browser, approve, call
from benchmarks.candidates import GUARDED, SPEND, Candidate, all_candidates, connected
from benchmarks.cookies import sizes_of
from benchmarks.provider import Provider, running_provider
from benchmarks.record import BEGIN, DOCS, END, Record
from benchmarks.report import Figure, Goal, Result, Row
from benchmarks.rounds import interleaved, over
from benchmarks.table import tables

NAMES = ("bare", "floor", "Flask-Login", "Flask-Dance", "Authlib", "ours")
WITH_LOGIN = ("floor", "Flask-Dance", "Authlib", "ours")


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider(tls=True) as provider:
        yield provider


@pytest.fixture
def candidate(request: pytest.FixtureRequest) -> Candidate:
    for package in ("authlib", "flask_dance", "flask_login"):
        if importlib.util.find_spec(package) is None:
            require(package, "pip install --group benchmark")
    return all_candidates()[request.param]


def every(names: tuple[str, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("candidate", names, indirect=True)


@every(WITH_LOGIN)
def test_a_login_asks_the_provider_for_a_code_with_s256(
    candidate: Candidate, provider: Provider
) -> None:
    browser = Browser(candidate.create_app(provider.url))
    answer = browser.get(candidate.LOGIN or "")
    assert answer.status in (302, 303)
    assert answer.location.startswith(f"{provider.url}/auth?")
    query = parse_qs(urlsplit(answer.location).query)
    assert query["code_challenge_method"] == ["S256"]
    assert len(query["code_challenge"][0]) == 43
    assert browser.cookies


@every(WITH_LOGIN)
def test_a_callback_buys_the_key_once_and_stores_it(
    candidate: Candidate, provider: Provider
) -> None:
    """The provider answers 200 to the right code verifier only, and once."""
    before = provider.counts()
    browser, key = connected(candidate, candidate.create_app(provider.url))
    after = provider.counts()
    assert (after.exchanges - before.exchanges, after.refused - before.refused) == (1, 0)
    assert browser.get(GUARDED).body.decode() == key
    assert browser.get(SPEND).body.decode() == key


@every(WITH_LOGIN)
def test_a_callback_of_another_browser_buys_nothing(
    candidate: Candidate, provider: Provider
) -> None:
    app = candidate.create_app(provider.url)
    # Authlib and Flask-Dance raise.
    app.testing = False
    app.logger.disabled = True
    approval = approve(Browser(app).get(candidate.LOGIN or "").location)
    before = provider.counts()
    other = Browser(app)
    other.get(approval.callback)
    assert provider.counts() == before
    assert other.get(GUARDED).status in (302, 303)


@every(NAMES[1:])
def test_the_guarded_view_answers_with_the_key_or_refuses(
    candidate: Candidate, provider: Provider
) -> None:
    app = candidate.create_app(provider.url)
    browser, key = connected(candidate, app)
    for _ in range(2):
        answer = browser.get(GUARDED)
        assert (answer.status, answer.body.decode()) == (200, key)
    refused = Browser(app).get(GUARDED)
    assert refused.status in (302, 303)
    assert refused.location.startswith(candidate.LOGIN or "/sign-in")


@every(("floor", "ours"))
def test_the_key_is_encrypted_and_bound_to_its_browser(
    candidate: Candidate, provider: Provider
) -> None:
    """The two that encrypt. What the others keep can be read by whoever has the cookie."""
    app = candidate.create_app(provider.url)
    browser, _ = connected(candidate, app)
    name = "session" if candidate.NAME == "floor" else "__Host-openrouter"
    value = browser.cookies[name]
    middle = len(value) // 2
    other = "B" if value[middle] == "A" else "A"
    browser.cookies[name] = value[:middle] + other + value[middle + 1 :]
    assert browser.get(GUARDED).status == 303


@every(("bare",))
def test_bare_flask_answers_with_as_many_bytes(candidate: Candidate, provider: Provider) -> None:
    app = candidate.create_app(provider.url)
    _, headers, body = call(app, Browser(app).environ(GUARDED))
    assert len(body) == len("sk-or-v1-") + 64
    assert "Set-Cookie" not in dict(headers)


@every(("ours",))
def test_our_cookies_stay_small_however_many_logins_are_abandoned(
    candidate: Candidate, provider: Provider
) -> None:
    sizes = sizes_of(candidate, candidate.create_app(provider.url))
    assert max(sizes.abandoned) <= 4093


def test_the_provider_refuses_a_wrong_verifier_and_a_spent_code() -> None:
    with running_provider(tls=False) as provider:
        connection = HTTPConnection(urlsplit(provider.url).netloc, timeout=5)
        try:
            for body in ('{"code": "a.1", "code_verifier": "b"}', "code=a.2&code_verifier=b"):
                kind = "application/json" if body.startswith("{") else "application/x-www-form"
                connection.request("POST", "/api/v1/auth/keys", body, {"Content-Type": kind})
                answer = connection.getresponse()
                assert (answer.status, b"Invalid" in answer.read()) == (403, True)
        finally:
            connection.close()
        counts = provider.counts()
        assert (counts.connections, counts.exchanges, counts.refused) == (1, 0, 2)


def test_a_fresh_process_holds_what_the_candidate_needs_alone() -> None:
    """What the benchmark itself imports would count as bare Flask's, and hide the candidates'."""
    program = """
import sys, flask
before = set(sys.modules)
import benchmarks.peak
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert {name.partition(".")[0] for name in done.stdout.split()} == {"benchmarks"}
    assert "benchmarks.provider" not in done.stdout


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


def test_the_table_shows_medians_ratios_and_verdicts() -> None:
    row = Row(
        "login",
        "µs",
        {"floor": [100.0, 100.0, 100.0], "ours": [100.0, 110.0, 120.0]},
        base="floor",
        goal=Goal(most=1.05),
    )
    other = Row("lookup", "µs", {"1,000 rows": [1.0], "2,000 rows": [2.0]})
    text = tables([Result("a", [row]), Result("b", [other]), Result("c", skipped="no wrk")])
    assert "| 100 µs, 1.00 |" in text
    assert "| 110 µs, 1.10 (1.05..1.15) | ≤ 1.05 of floor: missed |" in text
    assert "1,000 rows" in text
    assert "* Not run: c. no wrk." in text
    assert "### B\n\n| what" in text
    assert len({line.count("|") for line in text.split("\n\n")[0].splitlines()}) == 1


def test_a_record_is_written_whole(tmp_path: Path) -> None:
    record = Record.of_this_machine(rounds=1, quick=True)
    record.results.append(Result("a", [Row("x", "ms", {"ours": [1.0]})], 2.0))
    record.write(tmp_path / "results.json")
    written = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert written["quick"] is True
    assert written["parts"]["a"]["rows"][0]["samples"] == {"ours": [1.0]}
    assert written["packages"]["flask"]
    assert Record.read(tmp_path / "results.json") == record


def test_the_tables_replace_those_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}old\n{END}after\n", encoding="utf-8")
    record = Record.of_this_machine(rounds=1, quick=True)
    record.results.append(Result("a", skipped="no reason"))
    record.write_docs(page)
    record.write_docs(page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{BEGIN}")
    assert text.endswith(f"{END}after\n")
    assert text.count("no reason") == 1


def test_the_page_has_what_concerns_all_candidates() -> None:
    record = Record.of_this_machine(rounds=1, quick=True)
    record.results += [Result("views"), Result("storage")]
    assert [result.name for result in record.comparison().results] == ["views"]


def test_the_documentation_shows_the_published_figures() -> None:
    """``python -m benchmarks --write-docs`` writes both."""
    page = DOCS.read_text(encoding="utf-8")
    published = Record.read(ROOT / "benchmarks" / "results.json")
    assert not published.quick
    assert (
        page.partition(BEGIN)[2].partition(END)[0] == f"\n{published.comparison().to_markdown()}\n"
    )
