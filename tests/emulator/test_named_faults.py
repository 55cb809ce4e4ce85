"""The names of the faults: in the Python API, the control API and the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests
from cases import case
from chat_calls import chat
from protocol_steps import control, error_of

from flask_openrouter import testing
from flask_openrouter.emulator import NAMED_FAULTS, Emulator
from flask_openrouter.emulator.rewrites import REWRITES

PAGE = Path(__file__).parents[2] / "docs" / "emulator.md"


@pytest.mark.requirement("E7")
def test_the_page_lists_every_named_fault_once() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("| kind | names |\n")[2]
    names = re.findall(r"`(\w+)`", table.partition("\n\n")[0])
    assert sorted(names) == sorted(NAMED_FAULTS)


def test_every_rewrite_is_a_named_fault() -> None:
    assert set(REWRITES) < set(NAMED_FAULTS)


def test_each_sentence_is_one_sentence() -> None:
    for name, sentence in NAMED_FAULTS.items():
        with case(name):
            assert re.fullmatch(r"[A-Z].*\.", sentence)
            assert ". " not in sentence


@pytest.mark.requirement("E7")
def test_every_named_fault_can_be_queued(emulator: Emulator, http: requests.Session) -> None:
    for name in NAMED_FAULTS:
        with case(name):
            with emulator.faults(name):
                (queued,) = control(http, emulator, "GET", "/faults").json()["data"]
                assert queued["name"] == name
            assert control(http, emulator, "POST", "/faults", name=name).status_code == 200
            assert control(http, emulator, "GET", "/faults").json()["data"] == [queued] or (
                "resets_at" in str(queued) or "Reset" in str(queued)
            )
            control(http, emulator, "DELETE", "/faults")


@pytest.mark.requirement("E7")
def test_a_named_fault_hits_as_often_and_where_the_test_says(
    emulator: Emulator, http: requests.Session
) -> None:
    emulator.faults("relayed_401", times=2)
    assert [chat(http, emulator).status_code for _ in range(3)] == [401, 401, 200]
    url = f"{emulator.url}{'/api/v1/models'}"
    emulator.add_fault("relayed_401", path="/api/v1/models", method="GET")
    assert chat(http, emulator).status_code == 200
    assert http.get(url).json()["error"]["metadata"]["provider_name"] == "Anthropic"
    assert http.get(url).status_code == 200
    with emulator.faults("relayed_401", times=None):
        assert {chat(http, emulator).status_code for _ in range(3)} == {401}
    emulator.faults(name="relayed_401", status=403)
    assert chat(http, emulator).status_code == 403


def test_a_fault_can_be_removed_before_it_hits(emulator: Emulator, http: requests.Session) -> None:
    emulator.faults("relayed_401").remove()
    emulator.fault_queue.remove(emulator.add_fault("relayed_402"))
    assert chat(http, emulator).status_code == 200


@pytest.mark.requirement("E7")
def test_named_faults_can_be_set_over_http(emulator: Emulator, http: requests.Session) -> None:
    listed = control(http, emulator, "GET", "/faults/names").json()["data"]
    assert {entry["name"]: entry["sentence"] for entry in listed} == dict(NAMED_FAULTS)
    control(http, emulator, "POST", "/faults", name="workspace_budget_403", times=2)
    assert [chat(http, emulator).status_code for _ in range(3)] == [403, 403, 200]
    control(http, emulator, "POST", "/faults", name="outage_401", lasts=60)
    assert chat(http, emulator).status_code == 401
    emulator.advance_clock(60)
    assert chat(http, emulator).status_code == 200


def test_an_unknown_name_is_refused_with_the_known_ones(
    emulator: Emulator, http: requests.Session
) -> None:
    for name in ("relayed-401", "", "bad", 5, ["relayed_401"], {}, True):
        with case(name):
            with pytest.raises(ValueError, match=r"no fault .*relayed_401"):
                emulator.faults(name)  # type: ignore[arg-type]
            status, message = error_of(control(http, emulator, "POST", "/faults", name=name))
            assert (status, "relayed_401" in message) == (400, True)


def test_what_contradicts_a_named_fault_is_refused(emulator: Emulator) -> None:
    for values in [{"status": 500}, {"reset": True}, {"mid_stream": True}, {"self": 1}]:
        with case(values), pytest.raises(ValueError, match=r"rewrite excludes|no self"):
            emulator.faults("bom", **values)


def test_the_testing_package_has_the_names() -> None:
    assert testing.NAMED_FAULTS is NAMED_FAULTS
