"""The example app for axe, on a phone, in dark colours, and on a slow connection."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from accessibility import assert_accessible
from chat_visitor import CHAT, answered, sse
from held_model import HeldModel
from tab import Site, Tab

from example_app import models
from example_app.database import opened

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the test dependencies")
pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
pytestmark = pytest.mark.every_variant

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


def pretend_a_month(site: Site) -> None:
    """Add spending of the last weeks, as if the visitor had used the app for a month."""
    chance = random.Random(7)
    with opened(str(site.database)) as db:
        (owner,) = db.execute("SELECT owner FROM message ORDER BY id DESC").fetchone()
        for day in range(1, 26):
            for _ in range(chance.randrange(4)):
                model = chance.choice(["anthropic/claude-sonnet-4.5", "openai/gpt-4o-mini"])
                row = (owner, model, chance.randrange(200, 4000), chance.random() / 50)
                db.execute(
                    "INSERT INTO message (role, text, owner, model, tokens, cost, touched_at)"
                    " VALUES ('assistant', '', ?, ?, ?, ?, ?)",
                    (*row, time.time() - day * 86_400),
                )


def assert_fits(page: Any) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def ask(tab: Tab, count: int = 1) -> None:
    tab.site.emulator.add_fault(**answered(ANSWER, cost=0.0031, tokens=412))
    tab.send(QUESTION)
    tab.wait_for_answer(count)


@pytest.mark.parametrize("size", [DESKTOP, SMALLEST], ids=["desktop", "smallest"])
def test_every_state_of_every_page_is_accessible(
    tab: Tab, site: Site, model: HeldModel, size: dict[str, int], every_variant: bool
) -> None:
    """By default in one colour scheme for each size."""
    schemes = ("light", "dark") if every_variant else ("dark" if size is SMALLEST else "light",)
    tab.expected.append("status of (402|404|429)")
    page = tab.page
    page.set_viewport_size(size)

    def check(state: str) -> None:
        for scheme in schemes:
            page.emulate_media(color_scheme=scheme)
            assert_fits(page)
            assert_accessible(tab, f"{state}, {scheme}")

    page.goto(site.app_url)
    check("welcome")
    tab.connect()
    check("new chat")
    model.hold(after="Thank")
    tab.send("one two three four five six seven eight nine ten eleven twelve")
    page.locator(".assistant .text", has_text="Thank").wait_for()
    check("writing")
    page.keyboard.press("Escape")
    tab.wait_for_answer()
    model.release()
    check("stopped")
    ask(tab, 2)
    check("answer")
    if size is SMALLEST:
        page.evaluate("scrollTo(0, 0)")
        page.get_by_role("button", name="Go to the end").wait_for()
        check("scrolled up")
    thoughts = {"choices": [{"delta": {"reasoning": "hmm " * 200}, "finish_reason": "length"}]}
    site.emulator.add_fault(**sse(thoughts, "[DONE]"))
    tab.send("think")
    tab.wait_for_answer(3)
    page.get_by_text("Thoughts").last.click()
    check("thoughts")
    page.get_by_role("button", name="Edit").first.click()
    check("editing")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Model:").click()
    page.get_by_role("option").first.wait_for()
    check("picker")
    page.keyboard.press("Escape")
    for status in (402, 429):
        site.emulator.add_fault(path=CHAT, status=status)
        tab.send("hello")
        page.locator(".problem").wait_for()
        check(f"problem {status}")
        page.get_by_label("Message", exact=True).fill("")
    for name in ("Rename", "Delete"):
        page.get_by_role("button", name="This conversation").click()
        if name == "Rename":
            check("menu")
        page.get_by_role("button", name=name).click()
        check(name)
        page.keyboard.press("Escape")
    if size is SMALLEST:
        page.get_by_role("button", name="Conversations and settings").click()
        check("side bar")
        page.keyboard.press("Escape")
    pretend_a_month(site)
    for path in ("/usage", "/account", "/disconnected", "/nowhere"):
        page.goto(site.app_url + path)
        for details in page.locator("details").all():
            details.evaluate("e => { e.open = true }")
        check(path)


def test_visitors_who_prefer_no_motion_see_none(tab: Tab, model: HeldModel) -> None:
    tab.connect()
    model.hold(after="Thank")
    tab.send("one two three four five six")
    last = ".assistant .text > p:last-child"
    tab.page.locator(last).wait_for()
    name = f"getComputedStyle(document.querySelector('{last}'), '::after').animationName"
    assert tab.page.evaluate(name) == "blink"
    tab.page.emulate_media(reduced_motion="reduce")
    assert tab.page.evaluate(name) == "none"
    model.release()
    tab.wait_for_answer()


VITALS = """
    window.vitals = { shift: 0, paint: 0 };
    const watch = (type, note) => new PerformanceObserver(
        (list) => list.getEntries().forEach(note)).observe({ type, buffered: true });
    watch("layout-shift", (entry) => { vitals.shift += entry.value; });
    watch("largest-contentful-paint", (entry) => { vitals.paint = entry.startTime; });
"""


def test_the_first_load_is_light(tab: Tab, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything of a first visit, uncompressed, with as many models as OpenRouter has."""
    pricing = {"prompt": "0.000003", "completion": "0.000015"}
    many = [
        {"id": f"maker-{n}/a-model-{n}", "name": f"Maker: A Model {n}", "pricing": pricing}
        for n in range(400)
    ]
    monkeypatch.setattr(models, "FRESH", 0.0)
    tab.connect()
    path = "/api/v1/models"
    site.emulator.add_fault(status=200, body={"data": many}, path=path, times=None)
    urls: set[str] = set()
    tab.page.on("request", lambda request: urls.add(request.url))
    tab.page.add_init_script(VITALS)
    tab.page.reload()
    tab.wait_until_ready()
    tab.page.wait_for_load_state("networkidle")
    sizes = {url.removeprefix(site.app_url): len(tab.page.request.get(url).body()) for url in urls}
    assert sizes["/models"] > 30_000
    assert sizes["/static/chat.js"] > 1_000
    assert sum(sizes.values()) < 100_000, sizes
    vitals = tab.page.evaluate("vitals")
    print(sum(sizes.values()), "bytes,", vitals)  # largest contentful paint, in milliseconds
    assert vitals["shift"] < 0.01
    assert vitals["paint"] > 0
    # The other tests of this module get the usual list.
    site.emulator.fault_queue.clear()
    tab.page.request.get(f"{site.app_url}/models")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_pictures_for_the_documentation(
    open_tab: Callable[..., Tab], site: Site, screenshot: Callable[..., None], size: dict[str, int]
) -> None:
    is_phone = size is PHONE
    kind = "-phone" if is_phone else ""
    tab = open_tab(device_scale_factor=2 if is_phone else 1)
    page = tab.page
    page.set_viewport_size({**size, "height": size["height"] + 40})
    if not is_phone:
        page.goto(site.app_url)
        screenshot(tab, "chat-welcome")
    tab.connect()
    # What anybody sees: the page's own ideas, and the emulator's answers to them.
    for number in (0, 1, 2):
        tab.new_chat()
        page.locator(".idea").nth(number).click()
        page.get_by_role("button", name="Send").click()
        tab.wait_for_answer()
    page.mouse.wheel(0, -2000)
    page.wait_for_function("scrollY === 0")
    for scheme, name in (("dark", "-dark"), ("light", "")):
        page.emulate_media(color_scheme=scheme)
        screenshot(tab, f"chat{kind}{name}")
    if is_phone:
        return
    page.get_by_role("button", name="Model:").click()
    page.get_by_role("option").first.wait_for()
    screenshot(tab, "chat-picker")
    page.keyboard.press("Escape")
    pretend_a_month(site)
    page.get_by_role("link", name="Usage").click()
    page.get_by_role("img", name="Bars of what was spent").wait_for()
    screenshot(tab, "chat-usage")
