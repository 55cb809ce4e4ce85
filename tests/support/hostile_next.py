"""Addresses to redirect to: hostile and benign ones, and where a browser would go with them."""

from __future__ import annotations

import re
from itertools import product
from typing import Final
from urllib.parse import unquote, urlsplit

_SPECIAL: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21, "file": 0}


def offsite(location: str, *, base: str = "http://localhost/openrouter/callback") -> str | None:
    """Return where a browser on ``base`` goes when that is another origin, else None.

    Follows the WHATWG URL Standard where it differs from RFC 3986: controls at the ends and tabs
    and newlines anywhere are dropped, backslashes are slashes, and any number of them introduces a
    host. Anything but the web is another origin.
    """
    url = re.sub(r"[\t\n\r]", "", location.strip("".join(map(chr, range(0x21)))))
    here = urlsplit(base)
    scheme = here.scheme
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", url)
    if match:
        scheme, url = match[1].lower(), url[match.end() :]
        if scheme not in _SPECIAL:
            return f"{scheme}:{url}"
        if scheme == here.scheme and not url.startswith("//"):
            match = None
    if match is None and not re.match(r"[/\\]{2}", url):
        return None
    authority = re.split(r"[/\\?#]", url.lstrip("/\\"), maxsplit=1)[0]
    host = unquote(authority.rpartition("@")[2]).lower().removesuffix(f":{_SPECIAL[scheme]}")
    is_home = scheme == here.scheme and host == here.netloc
    return None if is_home else f"{scheme}://{authority}"


_SLASHES: Final = (
    "//", "///", "////", "/////////", "/\\", "\\/", "\\\\", "\\", "/\\/", "\\/\\/", "//\\", "/\\\\",
    "/\t/", "/\n/", "/\r/", "/\r\n/", "/\x00/", "/\x0b/", "/\x0c/", "/ /", "/\x1f/", "/\x7f/",
    "/%09/", "/%0a/", "/%0D/", "/%0d%0a/", "/%00/", "/%20/", "/%5c", "/%5C", "/%5c/", "/%5c%5c",
    "/%2f", "/%2F", "/%2f/", "/%2f%2f", "%2f%2f", "%5c%5c", "%2f\\", "/.//", "/..//", "/./", "/../",
    "/%2e//", "/%2e%2e//", "/%2E%2e/%2f", "/a/..//", "/a/../..//", "/a/%2e%2e//", "/;/../..//",
    "/\u2028/", "/\u2029/", "/\ufeff/", "/\xa0/", "/\x85/", "/\u3000/", "\uff0f\uff0f",
    "/\ud800/", ".//", "..//", "./", "?//", "#//", "", "@", ":", "://", ":////",
)  # fmt: skip
_HOSTS: Final = ("evil.example", "localhost@evil.example/%2e%2e", "evil.example:80\\@localhost")
_SCHEMES: Final = (
    "http", "https", "HTTPS", "hTTp", "javascript", "JaVaScRiPt", "java\tscript", "java%0ascript",
    "data", "vbscript", "file", "ftp", "ws", "blob", "mailto", "tel", "about", "view-source",
    "filesystem", "intent", "openrouter", "x", "\x01javascript", " javascript", "\ufeffhttps",
)  # fmt: skip
_AFTER_SCHEME: Final = (":", ":/", "://", ":///", ":\\\\", ":%2f%2f", "://localhost@")
_PREFIXES: Final = (
    "\t", "\n", "\r", "\r\n", "\x00", "\x08", "\x0b", "\x0c", "\x1c", "\x1f", "\x7f", "\x85",
    "\xa0", " ", "\u1680", "\u2003", "\u200b", "\u2028", "\u202e", "\u3000", "\ufeff", "%20",
    "%09", "+",
)  # fmt: skip

#: Those from advisories and bug bounties.
_CLASSICS: Final = (
    "evil.example", "www.evil.example/a", ".evil.example", "localhost.evil.example",
    "http://localhost.evil.example/", "http://localhost@evil.example/",
    "http://localhost:80@evil.example/", "http://evil.example#localhost/",
    "http://evil.example?localhost/", "http://evil.example\\.localhost/",
    "http://evil.example%2f.localhost/", "http:\\\\evil.example", "http:evil.example",
    "https:evil.example", "http:/evil.example", "http:/\\evil.example", "http;//evil.example",
    "//localhost.evil.example", "//localhost@evil.example", "//evil.example/%2f..",
    "///evil.example/%2f..", "////evil.example/%2f%2e%2e", "//evil.example/%2e%2e%2f",
    "/https://evil.example/../..//evil.example", "/%68ttp://../..//evil.example",
    "/\\evil.example\\..", "/\\/\\evil.example", "\\/\\/evil.example/", "/\\\\evil.example",
    "//evil%E3%80%82example", "//evil\u3002example", "//\u24d4\u24e5\u24d8\u24db.example",
    "//[::1]", "//[::ffff:127.0.0.1]/", "//0x7f000001", "//2130706433", "//127.1", "//[",
    "http://[", "http://[::1", "http://a:b:c/", "http://evil.example:99999", "http:///evil.example",
    "/a\r\nLocation: https://evil.example", "/a\nSet-Cookie: session=x", "/a\rX: y",
    "/%0d%0aLocation:%20//evil.example", "/a%0d%0aSet-Cookie:%20a=b", "/a%0a", "/a%00b", "/a\x00",
    "/a%7f", "/\udcff", "/\ud83d", "/\ufffe\\evil.example", "/a\\b", "/a\\..\\..\\\\evil.example",
    "/a/../..//evil.example", "/a/./..//evil.example", "/.", "/..", "/%2e", "/%2e%2e", "/a/..",
    "javascript:alert(1)", "javascript://localhost/%0aalert(1)", "/javascript:alert(1)//\\",
    "javascript:alert(1)//http://localhost", "data:text/html,<script>alert(1)</script>",
    "data:text/html;base64,PHNjcmlwdD4=", "vbscript:msgbox(1)", "feed:javascript:alert(1)",
    "<svg onload=alert(1)>", '"><script>alert(1)</script>', "{{7*7}}", "${7*7}", "%", "%%", "/%",
    "/%zz\\", "/%ff%fe\\", "/%c0%af/evil.example", "/%c0%ae%c0%ae//evil.example", "/%e0%80%af",
    "/%ff", "*", "?", "#", "", " ", ".", "..", "-", "null", "None", "undefined", "0", "[]", "{}",
    "next", "a/b", "?next=//evil.example", "#//evil.example", "/" + "a" * 1024, "/" + "é" * 400,
    "//" + "a" * 900 + ".example", "/" * 1000 + "evil.example", "\\" * 900, "/\\" * 400,
)  # fmt: skip

#: The extension's own routes: no place to land on.
OWN_ROUTES: Final = (
    "/openrouter", "/openrouter/", "/openrouter/login", "/openrouter/login?next=/a",
    "/openrouter/login#a", "/openrouter/login/", "/openrouter//login", "/openrouter/callback",
    "/openrouter/callback?code=a&state=b", "/openrouter/disconnect", "/openrouter/disconnected",
    "/openrouter/status", "/openrouter/code", "/openrouter/static/openrouter.css",
    "/%6fpenrouter/login", "/openrouter%2flogin", "/openrouter/%6cogin", "/%6Fpenrouter%2Flogin",
    "/OpenRouter/login", "/OPENROUTER/LOGIN", "/./openrouter/login", "/a/../openrouter/login",
    "/openrouter/../openrouter/login", "/openrouter?a=b", "/openrouter#a",
)  # fmt: skip

HOSTILE: Final = tuple(
    dict.fromkeys(
        (
            *map("".join, product(_SLASHES, _HOSTS)),
            *(f"{scheme}{mark}evil.example" for scheme, mark in product(_SCHEMES, _AFTER_SCHEME)),
            *map("".join, product(_PREFIXES, ("//evil.example", "/\\evil.example", "data:x"))),
            *_CLASSICS,
            *OWN_ROUTES,
        )
    )
)

#: Where an app may well send its visitors: as given, and as it arrives.
BENIGN: Final = {
    "/": "/",
    "/a": "/a",
    "/a/b/": "/a/b/",
    "/a?b=c": "/a?b=c",
    "/a?b=c&d=e": "/a?b=c&d=e",
    "/a#b": "/a#b",
    "/a?b=c#d": "/a?b=c#d",
    "/?u=https://x.example//y": "/?u=https://x.example//y",
    "/a?u=//x.example": "/a?u=//x.example",
    "/a?u=https%3A%2F%2Fx.example%2F": "/a?u=https%3A%2F%2Fx.example%2F",
    "/a#//x.example": "/a#//x.example",
    "/a%20b": "/a%20b",
    "/a b": "/a%20b",
    "/a+b?c=d+e": "/a+b?c=d+e",
    "/ä": "/%C3%A4",
    "/%C3%A4?q=%C3%A4": "/%C3%A4?q=%C3%A4",
    "/用户?名=值": "/%E7%94%A8%E6%88%B7?%E5%90%8D=%E5%80%BC",
    "/😀": "/%F0%9F%98%80",
    "/a%25b": "/a%25b",
    "/a?q=100%25": "/a?q=100%25",
    "/a?q=%0d%0a": "/a?q=%0d%0a",
    "/a/.well-known/b": "/a/.well-known/b",
    "/a...b/..c": "/a...b/..c",
    "/a;v=1/b,c/@d/e:f": "/a;v=1/b,c/@d/e:f",
    "/a?q={\"b\":[1]}": "/a?q=%7B%22b%22:%5B1%5D%7D",
    "/a//b": "/a//b",
    "/openrouters": "/openrouters",
    "/chat/openrouter/login": "/chat/openrouter/login",
    "/~a/(b)/!c/'d'/$e/&f/*g/=h": "/~a/(b)/!c/'d'/$e/&f/*g/=h",
    "/" + "a" * 1023: "/" + "a" * 1023,
}  # fmt: skip
