"""The emulator as the drivers see it: its address, a key, and a visitor who approves.

The drivers run with the packages of one program only, so this uses the standard library alone.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
import threading
import traceback
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

#: The origin of the emulator.
URL = os.environ["EMULATOR_URL"]
#: The base URL of its API.
API = f"{URL}/api/v1"
#: A key without a limit.
KEY = os.environ["EMULATOR_KEY"]

MODEL = "openai/gpt-4o-mini"
QUESTION = "What is Flask?"
#: The emulator quotes the question in its answer.
QUOTED = "“What is Flask?”"
WEATHER = "What is the weather in Paris?"

_CONSENT = re.compile(r'name="consent" value="([^"]+)"')


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


_browser = build_opener(ProxyHandler({}), _NoRedirects)


def run(*steps: Callable[[], None]) -> None:
    """Run the steps of a driver, and print their names in one line."""
    for step in steps:
        try:
            step()
        except Exception as error:
            traceback.print_exc()
            sys.exit(f"{step.__name__}: {type(error).__name__} {error}")
    print(", ".join(step.__name__.replace("_", " ") for step in steps))


def set_constant(function: Callable[..., Any], old: str, new: str) -> None:
    """Replace a string in the code of a function, for programs without a setting."""
    function = inspect.unwrap(function)
    constants = function.__code__.co_consts
    assert old in constants, f"{function.__name__} has no {old}"
    changed = tuple(new if constant == old else constant for constant in constants)
    function.__code__ = function.__code__.replace(co_consts=changed)


def documented(name: str) -> Callable[..., str]:
    """Return a function of docs/recipes.md, which asks the emulator in place of OpenRouter."""
    page = (Path(__file__).parents[3] / "docs" / "recipes.md").read_text(encoding="utf-8")
    found = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    (code,) = [code for code in found if f"def {name}(" in code]
    namespace: dict[str, Any] = {}
    exec(code.replace("https://openrouter.ai", URL), namespace)  # noqa: S102
    function: Callable[..., str] = namespace[name]
    return function


def refusal_of(call: Callable[[], Any]) -> Exception:
    """Return the error that this call raises."""
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("the call was not refused")


def approve(authorization_url: str) -> str:
    """Approve on the consent page, as a visitor does. Return the address to go to next.

    The page is always the emulator's, whatever the origin of ``authorization_url``.
    """
    page = _open(urlunsplit((*urlsplit(URL)[:2], "/auth", urlsplit(authorization_url).query, "")))
    (consent,) = _CONSENT.findall(page.read().decode())
    form = urlencode({"consent": consent, "decision": "approve"}).encode()
    return str(_open(f"{URL}/auth", form).headers["Location"])


class ApprovingBrowser(webbrowser.BaseBrowser):
    """A browser whose user approves. It finishes the login in the background."""

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
        """Open the consent page, approve, and go where it leads."""
        if urlsplit(url).path == "/auth":
            threading.Thread(target=lambda: _open(approve(url)), daemon=True).start()
        return True


def use_approving_browser() -> None:
    """Make it the browser of :mod:`webbrowser`."""
    webbrowser.register("approving", None, ApprovingBrowser(), preferred=True)


def get_json(url: str) -> Any:
    """Return the JSON at a URL of the emulator."""
    return json.load(_open(url))


def check_key(api_key: str | None) -> None:
    """Check that the emulator has issued this key and accepts it."""
    assert api_key is not None
    assert api_key.startswith("sk-or-v1-"), api_key[:9]
    request = Request(f"{API}/key", headers={"Authorization": f"Bearer {api_key}"})
    assert _browser.open(request, timeout=30).status == 200
    assert api_key != KEY


def _open(url: str, form: bytes | None = None) -> Any:
    try:
        return _browser.open(url, form, timeout=30)
    except HTTPError as response:
        if response.code in (302, 303):
            return response
        raise
