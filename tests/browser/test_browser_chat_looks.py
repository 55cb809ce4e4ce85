"""How the example app looks and reads: for axe, on a phone, in the dark, on a slow line."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_visitor import CHAT, answered, example_at
from live_app import live
from tab import Site, Tab

from example_app import models
from example_app.database import opened
from flask_openrouter.emulator import EmulatorConfig, run_in_thread

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the test dependencies")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
expect = sync_api.expect

PHONE = {"width": 360, "height": 720}
SMALLEST = {"width": 320, "height": 640}
DESKTOP = {"width": 1120, "height": 760}
QUESTION = "How do I sort words without duplicates in Python?"
ANSWER = """Put them into a `set`, then sort what is left:

```python
def sort_words(text: str) -> list[str]:
    # Case does not make a word another word.
    words = {word.lower() for word in text.split()}
    return sorted(words, key=len)
```

| step | what it does | cost |
|------|--------------|-----:|
| `set` | drops duplicates | O(n) |
| `sorted` | shortest words first | O(n log n) |

Leave out `key=len` if you want them **in the order of the alphabet**.
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chat")


@pytest.fixture(scope="module")
def site(database: Path) -> Iterator[Site]:
    """The app in this process, so that its database is at hand."""
    with (
        run_in_thread(EmulatorConfig(word_delay=0.02)) as emulator,
        live(example_at(emulator.url, database)) as url,
    ):
        yield Site(url, emulator.url)


def pretend_a_month(database: Path) -> None:
    """Spread what was spent over the last weeks, as if the visitor had been here for long."""
    chance = random.Random(7)
    with opened(str(database / "chat.db")) as db:
        (owner,) = db.execute("SELECT owner FROM spending ORDER BY id DESC").fetchone()
        for day in range(1, 26):
            for _ in range(chance.randrange(4)):
                model = chance.choice(["anthropic/claude-sonnet-4.5", "openai/gpt-4o-mini"])
                row = (owner, model, chance.randrange(200, 4000), chance.random() / 50)
                db.execute(
                    "INSERT INTO spending (owner, conversation_id, model, tokens, cost, spent_at)"
                    " VALUES (?, '', ?, ?, ?, ?)",
                    (*row, time.time() - day * 86_400),
                )


def assert_accessible(page: Any, state: str) -> None:
    # Colours that fade in would be caught half-way.
    page.wait_for_timeout(50)
    found = axe.Axe().run(page).response["violations"]
    assert found == [], f"{state}: {json.dumps(found, indent=1)}"


def assert_fits(page: Any) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def ask(tab: Tab, count: int = 1) -> None:
    tab.site.control("POST", "faults", **answered(ANSWER, cost=0.0031, tokens=412))
    tab.send(QUESTION)
    tab.wait_for_answer(count)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, SMALLEST], ids=["desktop", "smallest"])
def test_every_state_of_every_page_can_be_used_by_everybody(
    open_tab: Callable[..., Tab], site: Site, database: Path, scheme: str, size: dict[str, int]
) -> None:
    tab = open_tab(color_scheme=scheme)
    tab.expected.append("status of (402|404|429)")
    page = tab.page
    page.set_viewport_size(size)

    def check(state: str) -> None:
        assert_fits(page)
        assert_accessible(page, state)

    page.goto(site.app_url)
    check("welcome")
    tab.connect()
    check("new chat")
    tab.send("one two three four five six seven eight nine ten eleven twelve")
    page.locator(".assistant .text", has_text="Thank").wait_for()
    check("writing")
    page.keyboard.press("Escape")
    tab.wait_for_answer()
    check("stopped")
    ask(tab, 2)
    check("answer")
    if size is SMALLEST:
        page.evaluate("scrollTo(0, 0)")
        page.get_by_role("button", name="Go to the end").wait_for()
        check("scrolled up")
    page.get_by_role("button", name="Edit").first.click()
    check("editing")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Model:").click()
    page.get_by_role("option").first.wait_for()
    check("picker")
    page.keyboard.press("Escape")
    for status in (402, 429):
        site.control("POST", "faults", path=CHAT, status=status)
        tab.send("hello")
        page.locator(".problem").wait_for()
        check(f"problem {status}")
        page.get_by_label("Message", exact=True).fill("")
    for name in ("Rename", "Delete"):
        page.get_by_role("button", name="This conversation").click()
        check("menu")
        page.get_by_role("button", name=name).click()
        check(name)
        page.keyboard.press("Escape")
    if size is SMALLEST:
        page.get_by_role("button", name="Conversations and settings").click()
        check("side bar")
        page.keyboard.press("Escape")
    pretend_a_month(database)
    for path in ("/usage", "/account", "/disconnected", "/nowhere"):
        page.goto(site.app_url + path)
        for details in page.locator("details").all():
            details.evaluate("e => { e.open = true }")
        check(path)


def test_people_who_want_no_motion_see_none(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(reduced_motion="reduce")
    tab.connect()
    tab.send("one two three four five six")
    last = ".assistant .text > p:last-child"
    tab.page.locator(last).wait_for()
    name = f"getComputedStyle(document.querySelector('{last}'), '::after').animationName"
    assert tab.page.evaluate(name) == "none"
    tab.wait_for_answer()


def test_the_first_load_is_light(
    open_tab: Callable[..., Tab], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything of a first visit, uncompressed, with as many models as OpenRouter has."""
    monkeypatch.setattr(models, "FRESH", 0.0)
    tab = open_tab()
    tab.connect()
    pricing = {"prompt": "0.000003", "completion": "0.000015"}
    many = [
        {"id": f"maker-{n}/a-model-{n}", "name": f"Maker: A Model {n}", "pricing": pricing}
        for n in range(400)
    ]
    fault = {"status": 200, "body": {"data": many}, "path": "/api/v1/models", "times": None}
    site.control("POST", "faults", **fault)
    urls: set[str] = set()
    tab.page.on("request", lambda request: urls.add(request.url))
    tab.page.reload()
    tab.page.locator("#model:enabled").wait_for()
    tab.page.wait_for_load_state("networkidle")
    sizes = {url.removeprefix(site.app_url): len(tab.page.request.get(url).body()) for url in urls}
    assert sizes["/models"] > 30_000
    assert sizes["/static/chat.js"] > 1_000
    assert sum(sizes.values()) < 100_000, sizes


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_pictures_for_the_documentation(
    open_tab: Callable[..., Tab],
    database: Path,
    screenshot: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    size: dict[str, int],
) -> None:
    # Another test has left a list of four hundred models.
    monkeypatch.setattr(models, "FRESH", 0.0)
    is_phone = size is PHONE
    tab = open_tab(color_scheme=scheme, device_scale_factor=2 if is_phone else 1)
    page = tab.page
    page.set_viewport_size({**size, "height": size["height"] + 40})
    kind = "-phone" * is_phone + "-dark" * (scheme == "dark")

    def take(name: str) -> None:
        page.mouse.move(0, 0)
        page.wait_for_timeout(100)
        screenshot(tab, f"chat{name}{kind}")

    page.goto(tab.site.app_url)
    if not kind:
        take("-welcome")
    tab.connect()
    for text in ("A name for a tabby cat", "Which soups are better on the second day?"):
        tab.site.control("POST", "faults", **answered("Yes."))
        page.goto(tab.site.app_url)
        page.locator("#model:enabled").wait_for()
        tab.send(text)
        tab.wait_for_answer()
    page.goto(tab.site.app_url)
    page.locator("#model:enabled").wait_for()
    ask(tab)
    take("")
    if kind:
        return
    page.get_by_role("button", name="Model:").click()
    page.get_by_role("option").first.wait_for()
    take("-picker")
    page.keyboard.press("Escape")
    pretend_a_month(database)
    page.get_by_role("link", name="Usage").click()
    take("-usage")
