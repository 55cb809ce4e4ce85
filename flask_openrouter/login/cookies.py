"""The logins of one browser: each in a signed cookie of its own.

A cookie has the form of Flask's session: base64url of JSON, a time and a signature, with a salt of
our own. It is not the app's session, so nothing that the app does with that loses a login, and two
logins that start at the same moment both stay.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from flask.sessions import SecureCookieSessionInterface
from itsdangerous import BadData, Signer, base64_decode, base64_encode

from ..web import ExtensionCookie, request_state, this_app, this_request
from .logins import Login

#: Logins that one browser may have at once, in as many tabs.
MAX_LOGINS: Final = 8
#: The longest name and value of one login, in bytes. A longer ``next`` is dropped.
MAX_LOGIN_SIZE: Final = 700
#: Bytes that every login has at least.
_LEAST_LOGIN_SIZE: Final = 70
#: Bytes of it that a new login leaves free, so that ``is_repeated`` fits in later.
_RESERVED: Final = 16
#: All our cookies together stay below this, in bytes. Servers with buffers of 4 KiB are common, and
#: uWSGI's also holds the address twice and the browser's own headers.
MAX_TOTAL_SIZE: Final = 2_000
#: Seconds by which the clocks of several machines may differ.
MAX_CLOCK_SKEW: Final = 60
#: The text in a cookie, where bytes count: binding, code_verifier while the login is open, a letter
#: for each property that is true, and the problem with which it ended or the address to go to.
_TEXT: Final = re.compile(
    r"([A-Za-z0-9_-]{16})([A-Za-z0-9_-]{43})?(x?)(p?)(u?)(r?)(?:!([a-z_]+))?(/.*)?", re.S
)
_DEFAULT_INTERFACE: Final = SecureCookieSessionInterface()
#: The rest of the name of a login's cookie.
_PART: Final = re.compile(r"\.[A-Za-z0-9_-]{8}")
#: The rest of the names of our other cookies.
_OTHER_PART: Final = re.compile(r"(~[a-z]+)?")


class CookieSigner:
    """Signs text, and reads what it has signed, in the form of itsdangerous.

    ``secret_keys``: newest first: the first signs, and the signatures of all count. Each is derived
    and prepared once, which takes longer than to sign.
    """

    def __init__(
        self,
        secret_keys: tuple[bytes, ...],
        salt: bytes,
        key_derivation: str = "hmac",
        digest_method: Any = hashlib.sha256,
    ) -> None:
        derive = partial(
            Signer, salt=salt, key_derivation=key_derivation, digest_method=digest_method
        )
        prepared = [
            hmac.new(derive(key).derive_key(), digestmod=digest_method) for key in secret_keys
        ]

        # In a function, so that no dump of this object shows the keys.
        def signatures(value: bytes) -> Iterator[bytes]:
            for key in prepared:
                signature = key.copy()
                signature.update(value)
                yield base64_encode(signature.digest())

        self._signatures = signatures

    def get_signature(self, value: str) -> str:
        """Return the signature with the newest key."""
        return next(self._signatures(value.encode())).decode()

    def sign(self, value: str) -> str:
        """Return the value with its signature."""
        return f"{value}.{self.get_signature(value)}"

    def read(self, signed: str | None) -> str | None:
        """Return the value, or None for a text that none of the keys has signed."""
        value, _, sent = (signed or "").rpartition(".")
        signatures = self._signatures(value.encode()) if sent else ()
        is_signed = any(hmac.compare_digest(each, sent.encode()) for each in signatures)
        return value if is_signed else None


class LoginCookies:
    """Reads and writes the logins of the browser of this request. One per app, without state.

    ``secret_keys``: newest first. ``purpose``: separates apps and providers that share a key.
    ``max_age``: seconds that a login may take. ``clock``: returns Unix time in seconds.
    """

    def __init__(
        self,
        cookie: ExtensionCookie,
        secret_keys: tuple[bytes, ...],
        *,
        purpose: str,
        max_age: int,
        clock: Callable[[], float],
    ) -> None:
        self._cookie = cookie
        # The prefix counts, whether or not a request has it.
        self._name_length = len(cookie.name(is_https=True))
        salt = f"flask_openrouter login v1 {purpose}".encode()

        # A function, so that no dump of this object shows the keys.
        def make(settings: tuple[Any, Any]) -> CookieSigner:
            return CookieSigner(secret_keys, salt, *settings)

        self._make_signer = make
        self._max_age = max_age
        self._clock = clock
        self._signer: tuple[tuple[Any, Any], CookieSigner] | None = None

    def read(self, part: str) -> Login | None:
        """Return the login in this cookie, however old, or None if it is not one of ours."""
        return self._open(part, self._cookie.read(part) or "")

    def write(self, login: Login) -> None:
        """Send the cookie of this login. An address that makes it too long is dropped."""
        most = MAX_LOGIN_SIZE - self._name_length - len(login.part)
        if not login.is_repeated:
            most -= _RESERVED
        value = self._sign(login)
        if len(value) > most:
            value = self._sign(login, is_compressed=True)
        if len(value) > most:
            value = self._sign(replace(login, next_url=None))
        self._cookie.write(value, login.part)

    def is_fresh(self, login: Login) -> bool:
        """Whether the login is young enough. One from the future may come from another machine."""
        return self._is_fresh_at(login.issued_at)

    def trim(self) -> None:
        """Delete the logins that are too many, or too long together.

        The first to go are those that another site may have forced on the visitor, so that they
        never push out one that the visitor wanted; then those that are over; then the oldest.
        """
        # Whatever the cookies are, so few bytes are not too many logins.
        length = sum(map(len, request_state().new_cookies.values()))
        length += len(this_request().environ.get("HTTP_COOKIE", ""))
        if length < MAX_LOGINS * _LEAST_LOGIN_SIZE:
            return
        cookies = self._cookie.read_all()
        # With "=", and "; " between two of them.
        sizes = {
            part: self._name_length + len(part) + len(value) + 3 for part, value in cookies.items()
        }
        parts = [part for part in cookies if _PART.fullmatch(part)]
        if len(parts) <= MAX_LOGINS and sum(sizes.values()) < MAX_TOTAL_SIZE:
            return
        logins = sorted(self._logins(cookies), key=self._worth)
        # Cookies that do not open may be another app's. They neither count nor go.
        total = sum(size for part, size in sizes.items() if _OTHER_PART.fullmatch(part))
        total += sum(sizes[login.part] for login in logins)
        # The best one always stays: large cookies of an attacker must not end every login.
        for number, login in enumerate(logins[:-1]):
            if len(logins) - number <= MAX_LOGINS and total < MAX_TOTAL_SIZE:
                break
            self._cookie.write("", login.part)
            total -= sizes[login.part]

    def delete_stale(self) -> None:
        """Delete the logins that are too old, or too far in the future."""
        state = request_state()
        name = self._cookie.name(is_https=state.is_https)
        if not state.cookies and f"{name}." not in this_request().environ.get("HTTP_COOKIE", ""):
            return
        for login in self._logins(self._cookie.read_all(), skip=self._is_fresh_at):
            self._cookie.write("", login.part)

    def all(self) -> Iterator[Login]:
        """Yield the logins of this browser that are young enough."""
        for login in self._logins(self._cookie.read_all()):
            if self.is_fresh(login):
                yield login

    def count(self) -> tuple[int, int]:
        """Return how many cookies of logins the browser sent: those that open, and all others."""
        cookies = self._cookie.read_all()
        opened = len([*self._logins(cookies)])
        return opened, sum(_PART.fullmatch(part) is not None for part in cookies) - opened

    def _logins(
        self, cookies: Mapping[str, str], *, skip: Callable[[int], bool] = lambda _: False
    ) -> Iterator[Login]:
        for part, value in cookies.items():
            # The time is readable before the signature is checked, which takes much longer.
            if _PART.fullmatch(part) and not skip(_time_in(value)):
                login = self._open(part, value)
                if login is not None:
                    yield login

    def _worth(self, login: Login) -> tuple[bool, bool, bool, int]:
        """Return a key to sort logins by. Those that are to go come first."""
        state = request_state()
        is_new = self._cookie.name(is_https=state.is_https) + login.part in state.cookies
        is_forced = login.is_open and login.is_cross_site
        # The page of a popup or a reload needs one that this response ends.
        is_over = not (login.is_open or is_new)
        return self.is_fresh(login), not is_forced, not is_over, login.issued_at

    def _is_fresh_at(self, issued_at: int) -> bool:
        return -MAX_CLOCK_SKEW <= self._clock() - issued_at <= self._max_age

    def _sign(self, login: Login, *, is_compressed: bool = False) -> str:
        data = json.dumps(text_of(login)).encode()
        payload = base64_encode(zlib.compress(data) if is_compressed else data).decode()
        if is_compressed:
            # As in Flask's session, a dot says so.
            payload = f".{payload}"
        issued_at = max(login.issued_at, 0)
        time = base64_encode(issued_at.to_bytes((issued_at.bit_length() + 7) // 8 or 1, "big"))
        return self._get_signer().sign(f"{payload}.{time.decode()}")

    def _open(self, part: str, value: str) -> Login | None:
        return read_login(self._get_signer(), part, value)

    def _get_signer(self) -> CookieSigner:
        # The app may replace its session interface after init_app.
        interface = this_app().session_interface
        if not isinstance(interface, SecureCookieSessionInterface):
            interface = _DEFAULT_INTERFACE
        settings = interface.key_derivation, interface.digest_method
        if self._signer is None or self._signer[0] != settings:
            self._signer = settings, self._make_signer(settings)
        return self._signer[1]


def read_login(signer: CookieSigner, part: str, value: str) -> Login | None:
    """Return the login in a cookie, or None if the signer has not signed it."""
    signed = signer.read(value) if len(value) <= MAX_LOGIN_SIZE else None
    if signed is None:
        return None
    payload, _, time = signed.rpartition(".")
    try:
        data = base64_decode(payload.lstrip("."))
        # Signed, so it is no bomb.
        text = json.loads(zlib.decompress(data) if payload.startswith(".") else data)
        issued_at = _number_in(time)
    except (BadData, ValueError, zlib.error):
        return None
    return login_from_text(part, text, issued_at)


def text_of(login: Login) -> str:
    """Return what is written into the cookie, besides the time."""
    return "".join(
        (
            login.binding,
            login.code_verifier or "",
            "x" if login.is_cross_site else "",
            "p" if login.is_popup else "",
            "u" if login.is_of_user else "",
            "r" if login.is_repeated else "",
            f"!{login.problem}" if login.problem else "",
            login.next_url or "",
        )
    )


def login_from_text(part: str, text: object, issued_at: int) -> Login | None:
    """Read what :func:`text_of` wrote; None for anything that this version did not write."""
    fields = _TEXT.fullmatch(text) if isinstance(text, str) else None
    if fields is None:
        return None
    binding, code_verifier, cross_site, popup, user, repeated, problem, next_url = fields.groups()
    return Login(
        part=part,
        binding=binding,
        code_verifier=code_verifier,
        issued_at=issued_at,
        next_url=next_url,
        is_cross_site=bool(cross_site),
        is_popup=bool(popup),
        is_of_user=bool(user),
        is_repeated=bool(repeated),
        problem=problem,
    )


def _time_in(value: str) -> int:
    """Return the time in the value of a cookie, before its signature is checked; else 0."""
    try:
        return _number_in(value.split(".")[-2])
    except (BadData, LookupError, ValueError):
        return 0


def _number_in(text: str) -> int:
    number = base64_decode(text)
    if len(number) > 8:
        raise ValueError  # Not a time.
    return int.from_bytes(number, "big")
