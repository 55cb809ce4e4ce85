"""Faults of any storage: it is down, fails, hangs, or holds data that does not decrypt."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from attack import load_jar, save_jar
from faults.fault_rows import SERVER_SIDE, Row, fault
from faults.fault_site import FaultSite, Scene
from live_app import Browser, live
from sqlalchemy import create_engine, text
from werkzeug.test import TestResponse

from flask_openrouter.login.parked import SpentStates

NOT_NOW = "503 Keys cannot be stored or read right now"
NOT_SAVED = "503 Your key is not saved yet"
WAITS = "*Save again* stores it"


def _save_again(scene: Scene) -> TestResponse:
    """Press the button of the page; the key of the fault's login is stored now."""
    exchanges = scene.site.upstream.exchanges
    answer = scene.visitor.post("/openrouter/save?next=/first")
    assert (answer.status_code, answer.location) == (303, "/first")
    assert scene.visitor.key not in (None, scene.old_key)
    assert scene.site.upstream.exchanges == exchanges
    return answer


@fault(
    "F33",
    "storage down at the callback",
    NOT_NOW,
    storages=SERVER_SIDE,
    remark="the same address works later",
)
def _down_before(site: FaultSite, _: None) -> Row:
    scene = site.scene()
    jar = save_jar(scene.visitor)
    with site.store.down():
        page = scene.go()
    assert save_jar(scene.visitor) == jar
    row = scene.row(page)
    assert scene.visitor.get(scene.first).location == "/first"
    return row


def parked(scene: Scene, page: TestResponse) -> Row:
    """Measure first, then go back in time and save again: the other tab has replaced the key."""
    jar = save_jar(scene.visitor)
    unsaved = scene.visitor.client.get_cookie("openrouter~unsaved")
    assert unsaved is not None
    row = scene.row(page)
    assert scene.visitor.client.get_cookie("openrouter~unsaved") is None, "it was the older login"
    load_jar(scene.visitor, jar)
    scene.visitor.client.set_cookie("openrouter~unsaved", unsaved.value)
    _forget_what_was_given_up(scene)
    _save_again(scene)
    return row


def _forget_what_was_given_up(scene: Scene) -> None:
    app = scene.visitor.client.application
    # As after a restart of the worker.
    app.extensions["openrouter"].parked_keys._spent = SpentStates(601)


@fault(
    "F34",
    "storage fails once at the save",
    "303 to `/first`",
    exchanges=1,
    key="replaced",
    events=2,
    storages=SERVER_SIDE,
)
def _fails_once(site: FaultSite, _: None) -> Row:
    scene = site.scene()
    with site.store.switch.failing("set", times=1):
        page = scene.go()
    return scene.row(page)


@fault(
    "F34", "storage fails at every save", NOT_SAVED, exchanges=1, storages=SERVER_SIDE, remark=WAITS
)
def _fails_always(site: FaultSite, _: None) -> Row:
    scene = site.scene()
    with site.store.switch.failing("set"):
        page = scene.go()
    return parked(scene, page)


@fault(
    "F35", "storage does not answer", NOT_NOW, storages=("postgresql", "redis"), remark="within 5 s"
)
def _slow(site: FaultSite, _: None) -> Row:
    if site.store.kind == "redis":
        scene = site.scene(site.app(OPENROUTER_STORAGE_URI=f"{site.store.uri}?socket_timeout=1"))
        freeze, thaw = site.store.server.freeze, site.store.server.thaw
    else:
        query = "options=-c%20statement_timeout%3D1000"
        scene = site.scene(site.app(OPENROUTER_STORAGE_URI=f"{site.store.uri}?{query}"))
        engine = create_engine(str(site.store.uri))
        connection = engine.connect()

        def freeze() -> None:
            connection.execute(text("LOCK TABLE openrouter_keys IN ACCESS EXCLUSIVE MODE"))

        def thaw() -> None:
            connection.close()
            engine.dispose()

    freeze()
    # Without a time limit this would never return.
    page = scene.go()
    thaw()
    return scene.row(page)


@fault(
    "F35",
    "storage hangs for one visitor",
    "303 to `/first`",
    exchanges=1,
    key="replaced",
    storages=SERVER_SIDE,
    remark="others are served",
)
def _hangs(site: FaultSite, _: None) -> Row:
    scene = site.scene()
    released, entered = threading.Event(), threading.Event()
    slow: list[int] = []

    def hang(operation: str) -> None:
        if operation == "set" and threading.get_ident() in slow:
            entered.set()
            assert released.wait(60)

    site.store.switch.before = hang

    def come_back() -> TestResponse:
        slow.append(threading.get_ident())
        return scene.visitor.get(scene.first)

    other = site.visitor(scene.app)
    events = site.events()
    with ThreadPoolExecutor(1) as pool, scene.watching():
        page = pool.submit(come_back)
        try:
            assert entered.wait(60)
            assert other.get(other.begin("/other")).location == "/other"
            assert site.events() == events + 1
        finally:
            released.set()
        page.result()
    scene.counts = (scene.counts[0] - 1, scene.counts[1] - 1)
    return scene.row(page.result())


@fault(
    "F36",
    "storage down in a guarded view",
    NOT_NOW,
    storages=SERVER_SIDE,
    remark="the view does not run",
)
def _guard(site: FaultSite, _: None) -> Row:
    scene = site.scene()
    requests = len(site.upstream.requests)
    with site.store.down():
        page = scene.go("/use")
    assert len(site.upstream.requests) == requests
    return scene.row(page)


def _flip(ciphertext: str, _: str) -> str:
    return ciphertext[:-3] + ("A" if ciphertext[-3] != "A" else "B") + ciphertext[-2:]


ROWS: dict[str, Callable[[str, str], str]] = {
    "corrupt": _flip,
    "another owner's": lambda _, other: other,
    "plain key": lambda _, __: "sk-or-v1-" + "6" * 64,
    "empty": lambda _, __: "",
}


@fault(
    "F37",
    "stored ciphertext does not decrypt",
    "303 to `/openrouter/login?next=/use`",
    key="gone",
    variants=ROWS,
    remark="neither used nor deleted",
)
def _corrupt(site: FaultSite, change: Callable[[str, str], str]) -> Row:
    scene = site.scene()
    other = site.visitor(scene.app)
    other.get(other.begin("/other"))
    if site.store.kind == "cookie":
        tag, _, ciphertext = save_jar(scene.visitor)["openrouter"].partition(".")
        theirs = save_jar(other)["openrouter"].partition(".")[2]
        scene.visitor.client.set_cookie("openrouter", f"{tag}.{change(ciphertext, theirs)}")
        return scene.row(scene.go("/use"))
    storage = site.store.switch.inner
    ours, theirs = _owner_id(scene, scene.visitor), _owner_id(scene, other)
    bad = change(storage.get(ours) or "", storage.get(theirs) or "")
    storage.set(ours, bad)
    page = scene.go("/use")
    assert storage.get(ours) == bad
    return scene.row(page)


def _owner_id(scene: Scene, visitor: object) -> str:
    signed = save_jar(visitor)["openrouter"]  # type: ignore[arg-type]
    return "browser:" + signed.rpartition(".")[0]


@fault(
    "F38",
    "deleting fails",
    "503 Still connected",
    storages=SERVER_SIDE,
    variants={"the delete": "delete", "everything": "down"},
)
def _delete_fails(site: FaultSite, what: str) -> Row:
    scene = site.scene()
    failing = site.store.down() if what == "down" else site.store.switch.failing("delete")
    with failing:
        page = scene.watch(lambda: scene.visitor.post("/openrouter/disconnect"))
    row = scene.row(page)
    assert scene.visitor.post("/openrouter/disconnect").status_code == 303
    assert scene.visitor.key is None
    return row


@fault(
    "F40",
    "one user connects twice at once",
    "303 to `/first`, twice",
    exchanges=2,
    key="replaced",
    events=None,
    storages=SERVER_SIDE,
    remark="one row, one of both keys",
)
def _race(site: FaultSite, _: None) -> Row:
    site.user = "ada"
    scene = site.scene()
    # A row that two threads insert at once: neither finds one.
    site.store.switch.delete("ada")
    barrier = threading.Barrier(2)
    arrived: set[int] = set()

    def meet(operation: str) -> None:
        if operation == "set" and threading.get_ident() not in arrived:
            arrived.add(threading.get_ident())
            barrier.wait(60)

    site.store.switch.before = meet
    others = [site.visitor(scene.app) for _ in range(2)]
    addresses = [other.begin("/first") for other in others]
    with live(scene.app) as url, ThreadPoolExecutor(2) as pool, scene.watching():
        browsers = [Browser(url, save_jar(other)) for other in others]
        visits = [pool.submit(b.get, a) for b, a in zip(browsers, addresses, strict=True)]
        answers = [visit.result() for visit in visits]
    site.store.switch.before = lambda operation: None
    site.record_live(*answers)
    assert [(a.status, a.location) for a in answers] == [(303, "/first")] * 2
    assert list(site.store.switch.inner.owner_ids()) == ["ada"]  # type: ignore[attr-defined]
    scene.counts = (scene.counts[0], None)
    return scene.row("303 to `/first`, twice")
