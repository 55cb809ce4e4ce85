"""Blocks of docs/deployment.md that need something beside them, and a drill for each block."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from components import require
from deployment_page import block
from doc_blocks import ROOT, blocks
from flask import Flask
from visitor import Visitor

import flask_openrouter
from flask_openrouter import OpenRouterAuth
from flask_openrouter.emulator import Emulator
from flask_openrouter.testing import app_config

#: The blocks by their language and some of their words, each with the test that does what it says.
DRILLS = {
    ("python", "TRUSTED_HOSTS=["): "test_deployment_service.py::check_restart",
    ("text", "FLASK_SECRET_KEY="): "test_deployment_service.py::test_lists_in_variables",
    ("python", "/run/secrets"): "test_deployment_page.py::test_secrets_are_read_from_files",
    (
        "text",
        "pip install gunicorn",
    ): "test_deployment_service.py::test_what_the_container_installs",
    ("text", "gunicorn --worker-class"): "test_deployment_service.py::test_the_service_survives",
    ("ini", "[Service]"): "test_deployment_service.py::test_the_service_survives",
    ("nginx", "limit_req_zone"): "../workers/test_web_servers.py::test_a_rehearsal_under",
    ("python", "ProxyFix"): "test_guide_pages.py::test_behind_a_proxy_the_callback_is_https",
    ("python", "Limiter("): "test_deployment_page.py::test_flask_limiter_limits_logins_alone",
    ("sql", "CREATE ROLE"): "test_deployment_database.py::test_the_account_can_keep_keys",
    ("python", "/readyz"): "test_guide_pages.py::test_a_storage_that_is_down_is_not_ready",
    ("python", "logging.basicConfig"): "test_deployment_service.py::test_the_service_survives",
    ("text", "INFO flask_openrouter: A key was"): "test_deployment_page.py::test_the_line_of_the",
    ("python", "prometheus_client"): "test_deployment_page.py::test_logins_and_failures_are",
    ("dockerfile", "FROM"): "test_deployment_service.py::test_what_the_container_installs",
    ("text", "docker run"): "test_deployment_service.py::test_the_container_is_published",
}


def test_every_block_has_a_drill() -> None:
    left = dict(DRILLS)
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    languages = re.findall(r"^```(\w+)$", page, re.M)
    for found in [b for each in {*languages} for b in blocks(each) if b.page.stem == "deployment"]:
        (drill,) = [key for key in DRILLS if key[0] == found.language and key[1] in found.code]
        left.pop(drill, None)
        name, _, function = DRILLS[drill].partition("::")
        assert f"\ndef {function}" in (Path(__file__).parent / name).read_text(), found.name
    assert not left


@pytest.fixture
def app(emulator: Emulator) -> Flask:
    app = Flask("documented")
    app.config.update(app_config(emulator))
    return app


@pytest.mark.requirement("P13")
def test_secrets_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "SECRET_KEY").write_text("a secret\n", encoding="utf-8")
    # Kubernetes keeps the files in such a folder.
    (tmp_path / "..data").mkdir()
    app = Flask("documented")
    code = block("python", "/run/secrets").replace("/run/secrets", str(tmp_path))
    exec(code, {"app": app})  # noqa: S102 - our documentation
    assert app.config["SECRET_KEY"] == "a secret"


@pytest.mark.requirement("A15", "P9")
def test_flask_limiter_limits_logins_alone(app: Flask, emulator: Emulator) -> None:
    if find_spec("flask_limiter") is None:
        require("Flask-Limiter", "not installed (pip install --group test)")
    exec(block("python", "Limiter("), {"app": app, "OpenRouterAuth": OpenRouterAuth})  # noqa: S102
    visitor = Visitor(app)
    callback_url = visitor.callback_url(visitor.start(), code="made-up-code-of-a-stranger")
    statuses = [visitor.get(callback_url).status_code for _ in range(12)]
    assert statuses == [400] * 10 + [429] * 2
    assert emulator.count("POST", "/api/v1/auth/keys") == 1
    # Pages poll the status, and a refused callback works later.
    assert {visitor.get("/openrouter/status").status_code for _ in range(20)} == {200}
    later = emulator.approve(visitor.start())
    assert visitor.get(later).status_code == 429
    app.extensions["limiter"].pop().reset()
    assert visitor.get(later).status_code == 303


@pytest.mark.requirement("P13")
def test_logins_and_failures_are_counted(app: Flask, emulator: Emulator) -> None:
    if find_spec("prometheus_client") is None:
        require("prometheus_client", "not installed (pip install --group test)")
    from prometheus_client import REGISTRY, generate_latest

    OpenRouterAuth(app)
    names: dict[str, Any] = {"app": app}
    exec(block("python", "prometheus_client"), names)  # noqa: S102 - our documentation
    try:
        visitor = Visitor(app)
        visitor.connect(emulator)
        visitor.post("/openrouter/disconnect")
        visitor.get(visitor.callback_url(visitor.start(), code="made-up-code-of-a-stranger"))
        counts = re.findall(r"^(openrouter_\w+_total\S*) (\S+)$", generate_latest().decode(), re.M)
    finally:
        for name in ("connected", "forgotten", "failed"):
            REGISTRY.unregister(names[name])
    assert dict(counts) == {
        "openrouter_keys_connected_total": "1.0",
        'openrouter_keys_forgotten_total{reason="visitor"}': "1.0",
        'openrouter_logins_failed_total{reason="code_refused"}': "1.0",
    }


def test_the_line_of_the_log_names_the_owner_by_the_hash_that_a_shell_prints(
    app: Flask, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    app.config["OPENROUTER_STORAGE_URI"] = "memory://"
    auth = OpenRouterAuth(app)
    auth.owner_loader(lambda: 42)
    caplog.set_level("INFO", "flask_openrouter")
    Visitor(app).connect(emulator)
    documented = re.search(r"\[owner (\w{12})", block("text", "A key was connected."))
    assert documented is not None
    assert documented[0] in caplog.text


# -- when something happens ---------------------------------------------------------------------


@pytest.mark.requirement("P13")
@pytest.mark.parametrize(
    "fault", [{"status": 503}, {"reset": True}], ids=["answers 503", "disconnects"]
)
def test_while_openrouter_is_down_visitors_stay_connected(
    app: Flask, emulator: Emulator, fault: dict[str, Any]
) -> None:
    names = {name: getattr(flask_openrouter, name) for name in flask_openrouter.__all__}
    health = block("python", "/readyz").replace("sqlite:///keys.db", "memory://")
    exec(health, {**names, "app": app})  # noqa: S102 - our documentation

    @app.post("/ask")
    @flask_openrouter.requires_openrouter_key
    def ask() -> str:
        reply = flask_openrouter.current_openrouter.session.post("chat/completions", json={})
        reply.raise_for_status()
        return "answered"

    visitor, other = Visitor(app), Visitor(app)
    visitor.connect(emulator)
    callback_url = emulator.approve(other.start())
    with emulator.faults(times=None, **fault):
        for _ in range(2):
            response = visitor.post("/ask")
            assert response.status_code == 502
            assert "OpenRouter" in response.text
        assert visitor.get("/openrouter/status").json["connected"] is True
        assert visitor.get("/readyz").text == "ready"
        assert other.get(callback_url).status_code == 502
        doctor = app.test_cli_runner().invoke(args=["openrouter", "doctor"])
        assert "FAIL" not in doctor.output
    assert visitor.get("/openrouter/status").json["connected"] is True
    assert other.connect(emulator).status_code == 303
