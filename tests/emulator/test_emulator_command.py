"""The options of the program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cases import case
from click.testing import CliRunner, Result

from flask_openrouter.emulator import NAMED_FAULTS, Emulator, __main__
from flask_openrouter.emulator.__main__ import emulator_command

WORKSPACE = "11111111-1111-4111-8111-111111111111"
Run = Callable[..., tuple[Result, Emulator | None]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the program, and stop it where it would wait."""
    started: list[Emulator] = []
    serve = __main__.run_in_thread

    @contextmanager
    def serve_and_note(*args: Any, **kwargs: Any) -> Iterator[Emulator]:
        with serve(*args, **kwargs) as emulator:
            started.append(emulator)
            yield emulator

    monkeypatch.setattr(__main__, "run_in_thread", serve_and_note)
    monkeypatch.setattr(__main__, "_wait", lambda: None)

    def invoke(*arguments: str) -> tuple[Result, Emulator | None]:
        started.clear()
        result = CliRunner().invoke(emulator_command, ["--port", "0", *arguments])
        return result, started[0] if started else None

    return invoke


def test_the_options_are_the_settings(run: Run) -> None:
    for arguments, setting, value in [
        ([], "echo_state", True),
        (["--echo-state"], "echo_state", True),
        (["--no-echo-state"], "echo_state", False),
        (["--echo-state-on-denial"], "echo_state_on_denial", True),
        (["--resolve-hosts"], "resolve_hosts", True),
        ([], "workspace_ids", None),
        (["--workspace-id", WORKSPACE], "workspace_ids", (WORKSPACE,)),
        (["--bad-body-style", "documented"], "bad_body_style", "documented"),
        (["--credits-style", "documented"], "credits_style", "documented"),
        (["--exchange-get-status", "404"], "exchange_get_status", 404),
        ([], "exchange_get_status", 405),
        (["--spent-limit-status", "402"], "spent_limit_status", 402),
    ]:
        with case(arguments):
            result, emulator = run(*arguments)
            assert result.exit_code == 0, result.output
            assert emulator is not None
            assert getattr(emulator.config, setting) == value


def test_an_invalid_setting_is_a_usage_error(run: Run) -> None:
    for arguments, message in [
        (["--workspace-id", "mine"], "workspace_ids must be None or a list of UUIDs"),
        (["--word-delay", "1e300"], "word_delay must be"),
        (["--fault", "nonsense"], "there is no fault 'nonsense'"),
        (["--fault", "relayed_401:0"], "times must be a positive integer"),
        (["--fault", "relayed_401:x"], "times must be a positive integer"),
    ]:
        with case(arguments):
            result, _ = run(*arguments)
            assert result.exit_code == 2
            assert message in " ".join(result.output.split())


@pytest.mark.requirement("E7")
def test_the_program_starts_with_named_faults(run: Run) -> None:
    result, emulator = run(
        *("--fault", "relayed_401", "--fault", "bom:3", "--fault", "error_200:all")
    )
    assert result.exit_code == 0, result.output
    assert emulator is not None
    names = [fault.name for fault in emulator.fault_queue.faults()]
    assert names == ["relayed_401", "bom", "error_200"]
    taken = [emulator.fault_queue.take("POST", "/api/v1/chat/completions") for _ in range(6)]
    assert [fault and fault.name for fault in taken] == [
        *("relayed_401", "bom", "bom", "bom", "error_200", "error_200")
    ]


@pytest.mark.requirement("E7")
def test_the_program_lists_the_named_faults(run: Run) -> None:
    result, emulator = run("--list-faults")
    assert emulator is None
    assert result.exit_code == 0
    assert result.output.splitlines() == [f"{n}: {text}" for n, text in NAMED_FAULTS.items()]


@pytest.mark.requirement("E5")
def test_the_program_says_what_bind_means(run: Run) -> None:
    result, emulator = run("--bind", "0.0.0.0")
    assert emulator is not None
    assert emulator.url.startswith("http://127.0.0.1:")
    assert f'"{emulator.url}"' in result.output
    assert "It listens on 0.0.0.0: every machine that reaches this address can use" in result.output
    assert "It listens on" not in run()[0].output
