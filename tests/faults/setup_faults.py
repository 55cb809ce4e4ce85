"""Mistakes of operators: encryption keys, workers, proxies, and leftover settings."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from attack import browser_with, parameter, save_jar
from faults.fault_rows import Row, fault
from faults.fault_site import FaultSite, Scene
from flask import Flask
from live_app import Browser
from web_servers import running_web_server
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_openrouter.errors import ConfigurationError


def _move(scene: Scene, app: Flask) -> None:
    """Let the visitor's browser speak to this app from now on, as after a restart."""
    jar = save_jar(scene.visitor)
    scene.visitor.client = browser_with(app, jar).client


@fault(
    "F27",
    "SECRET_KEY changed during a login",
    "400 This login is not known here",
    key="gone",
    other_tab="lost",
    remark="the old one restores the key",
)
def _key_changed(site: FaultSite, _: None) -> Row:
    scene = site.scene()
    jar = save_jar(scene.visitor)
    _move(scene, site.app())
    row = scene.row(scene.go())
    scene.visitor.client = browser_with(scene.app, jar).client
    assert scene.visitor.key == scene.old_key
    assert scene.visitor.get(scene.second).location == "/second"
    return row


@fault("F28", "SECRET_KEY rotated, with fallback", "303 to `/first`", exchanges=1, key="replaced")
def _key_rotated(site: FaultSite, _: None) -> Row:
    old = secrets.token_hex()
    scene = site.scene(site.app(SECRET_KEY=old))
    _move(scene, site.app(SECRET_KEY_FALLBACKS=[old]))
    assert scene.visitor.key == scene.old_key
    return scene.row(scene.go())


@fault(
    "F29",
    "workers with different keys",
    "400 This login is not known here",
    remark="the page tells the operator; nothing is deleted",
)
def _workers_disagree(site: FaultSite, _: None) -> Row:
    scene = site.scene()
    other = browser_with(site.app(), save_jar(scene.visitor))
    page = scene.watch(lambda: other.get(scene.first))
    assert "same SECRET_KEY" in page.text
    assert [other.key for _ in range(3)] == [None] * 3
    return scene.row(page)


@fault(
    "F46",
    "gunicorn --preload, threads",
    "303 to `/`",
    exchanges=1,
    key="replaced",
    events=None,
    storages=("cookie", "sqlite", "postgresql", "redis"),
    remark="two workers; no nonce is used twice",
)
def _fork(site: FaultSite, _: None) -> Row:
    log = site.folder / "gunicorn.log"
    options = f"--capture-output --log-level debug --error-logfile {log}"
    settings = {
        "SECRET_KEY": f"key {secrets.token_hex()}",
        "OPENROUTER_BASE_URL": site.upstream.url,
        "OPENROUTER_EMULATOR": "true",
        **({"OPENROUTER_STORAGE_URI": site.store.uri} if site.store.uri else {}),
    }
    rows = set()
    with running_web_server("gunicorn gthread, preload", 2, options=options, **settings) as server:
        browsers = [Browser(server.url) for _ in range(4)]
        for browser in browsers:
            rows.add(_connect_again(site, browser))
    (row,) = rows
    ciphertexts = {browser.jar["openrouter"].partition(".")[2][:16] for browser in browsers}
    assert len(ciphertexts) == 4
    text = log.read_text()
    assert "Booting worker" in text
    assert "shown with reference" not in text
    site.record("gunicorn", text)
    return row


def _connect_again(site: FaultSite, browser: Browser) -> Row:
    """Connect, and with two more logins open in tabs, finish the first of them."""

    def begin() -> str:
        callback_url = browser.callback_url(site.new_code())
        site.canaries[f"state {len(site.canaries)}"] = parameter(callback_url, "state")
        return callback_url

    browser.get(begin())
    before = browser.key
    first, second = begin(), begin()
    exchanges = site.upstream.exchanges
    page = browser.get(first)
    exchanges = site.upstream.exchanges - exchanges
    key = browser.key
    last = browser.get(second)
    site.record_live(page, last)
    return Row(
        f"{page.status} to `{page.location}`",
        exchanges,
        "gone" if key is None else "kept" if key == before else "replaced",
        "completes" if last.status == 303 and browser.key not in (None, key) else "lost",
        events=None,
    )


@fault(
    "F49",
    "https proxy without ProxyFix",
    "400 This address cannot be used to connect",
    remark="the page names ProxyFix",
)
def _no_proxy_fix(site: FaultSite, _: None) -> Row:
    app = site.app(TRUSTED_HOSTS=["app.example"])
    scene = site.scene(app, base_url="https://app.example")
    scene.visitor.base_url = "http://app.example"
    page = scene.go("/openrouter/login?next=/first")
    assert "ProxyFix" in page.text
    scene.visitor.base_url = "https://app.example"
    return scene.row(page)


@fault("F49", "proxy with prefix and ProxyFix", "303 to `/first`", exchanges=1, key="replaced")
def _prefix(site: FaultSite, _: None) -> Row:
    app = site.app(TRUSTED_HOSTS=["app.example"])
    fixed = ProxyFix(app.wsgi_app, x_proto=1, x_host=1, x_prefix=1)

    def proxy(environ: dict[str, Any], start_response: Any) -> Any:
        environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix("/sub")
        environ["HTTP_X_FORWARDED_PROTO"] = environ["wsgi.url_scheme"]
        environ["HTTP_X_FORWARDED_HOST"] = environ["HTTP_HOST"]
        environ["HTTP_X_FORWARDED_PREFIX"] = "/sub"
        environ.update({"wsgi.url_scheme": "http", "HTTP_HOST": "127.0.0.1:8000"})
        return fixed(environ, start_response)

    app.wsgi_app = proxy  # type: ignore[method-assign]
    scene = site.scene(app, base_url="https://app.example")
    assert scene.first.startswith("https://app.example/sub/openrouter/callback?")
    return scene.row(scene.go())


@fault(
    "F50",
    "emulator configured in production",
    "the app does not start",
    events=0,
    remark="its keys are not sent to openrouter.ai",
)
def _emulator_in_production(site: FaultSite, _: None) -> Row:
    secret = secrets.token_hex()
    scene = site.scene(site.app(SECRET_KEY=secret))
    with scene.watching(), pytest.raises(ConfigurationError, match="OPENROUTER_BASE_URL") as error:
        site.app(SECRET_KEY=secret, TESTING=False)
    site.record("error reports", repr(error.value))
    production = site.app(SECRET_KEY=secret, OPENROUTER_BASE_URL="https://openrouter.ai")
    assert browser_with(production, save_jar(scene.visitor)).key is None
    return scene.row("the app does not start")
