"""The HTML of the documentation, as built: what its pages link to, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: What a browser loads by itself: the attribute that says from where.
_LOADED = {"img": "src", "script": "src", "iframe": "src", "source": "src", "object": "data"}
_LINKS_LOADED = {"stylesheet", "icon", "preload", "modulepreload"}


@dataclass
class BuiltPage:
    """One page: the names that can be linked to, its links, and what it loads."""

    path: Path
    #: Where the site begins, for addresses that begin with a slash.
    root: Path
    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    images_without_text: list[str] = field(default_factory=list)


def read_site(folder: Path) -> dict[Path, BuiltPage]:
    """Read every page below this folder, by its path."""
    root = folder.resolve()
    return {path: _read(path, root) for path in sorted(root.rglob("*.html"))}


def broken_links(site: dict[Path, BuiltPage]) -> set[str]:
    """Return ``page: target`` for each link and file of the site that leads nowhere within it."""
    return {
        f"{page.path.name}: {target}"
        for page in site.values()
        for target in (*page.links, *page.loads)
        if _is_local(target) and not _leads_somewhere(site, page, target)
    }


def loaded_from_elsewhere(site: dict[Path, BuiltPage]) -> set[str]:
    """Return ``page: address`` for whatever a browser would fetch from another host."""
    return {
        f"{page.path.name}: {target}"
        for page in site.values()
        for target in page.loads
        if not _is_local(target) and not target.startswith("data:")
    }


def reachable(site: dict[Path, BuiltPage], start: Path) -> set[Path]:
    """Return the pages that a reader reaches from this one by links."""
    found, waiting = {start}, [start]
    while waiting:
        page = site[waiting.pop()]
        for target in filter(_is_local, page.links):
            path = _path_of(page, target)
            if path in site and path not in found:
                found.add(path)
                waiting.append(path)
    return found


def _is_local(target: str) -> bool:
    parts = urlsplit(target)
    return not parts.scheme and not parts.netloc


def _path_of(page: BuiltPage, target: str) -> Path:
    path = unquote(urlsplit(target).path)
    if path.startswith("/"):
        return (page.root / path.lstrip("/")).resolve()
    return (page.path.parent / path).resolve() if path else page.path


def _leads_somewhere(site: dict[Path, BuiltPage], page: BuiltPage, target: str) -> bool:
    path, anchor = _path_of(page, target), unquote(urlsplit(target).fragment)
    if not path.is_file():
        return False
    return not anchor or path not in site or anchor in site[path].anchors


def _read(path: Path, root: Path) -> BuiltPage:
    page = BuiltPage(path, root)
    _Reader(page).feed(path.read_text(encoding="utf-8"))
    return page


class _Reader(HTMLParser):
    def __init__(self, page: BuiltPage) -> None:
        super().__init__()
        self._page = page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if "id" in values:
            self._page.anchors.add(values["id"])
        if tag == "a" and "href" in values:
            self._page.links.append(values["href"])
        if tag == "link" and _LINKS_LOADED & set(values.get("rel", "").split()):
            self._page.loads.append(values["href"])
        source = values.get(_LOADED.get(tag, ""))
        if source is not None:
            self._page.loads.append(source)
        if tag == "img" and not values.get("alt", "").strip():
            self._page.images_without_text.append(source or "")
