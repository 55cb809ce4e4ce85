"""The floor: the smallest correct views that do the same work by hand.

State and verifier are in Flask's session and taken out before the code is used. The comparison
takes constant time. One urllib3 pool is kept. The key is in the session, encrypted with
AES-256-GCM and bound to its owner. It leaves out: error pages, ``next``, several logins at once,
time limits by the wall clock, key rotation, other storages, and messages about wrong settings.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import time
from typing import Protocol
from urllib.parse import urlencode

import urllib3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import Flask, abort, redirect, request, session, url_for
from werkzeug.wrappers import Response

from . import SECRET_KEY, new_app

IMPORTS = """
import base64, hashlib, hmac, os, secrets, time, urllib3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
"""
LOGIN = "/login"
_LOGIN_MAX_AGE = 600


class Keys(Protocol):
    """Where the encrypted keys are, if not in the session."""

    def get(self, owner: str) -> str:
        """Return what is stored for this owner, or ``""``."""

    def set(self, owner: str, key: str) -> None:
        """Store it."""


def create_app(provider_url: str, keys: Keys | None = None) -> Flask:
    """Return an app with three routes written by hand."""
    app = new_app("floor")
    cipher = AESGCM(hashlib.sha256(b"keys" + SECRET_KEY.encode()).digest())
    pool = urllib3.PoolManager(
        maxsize=16, retries=False, timeout=15, ca_certs=os.environ.get("REQUESTS_CA_BUNDLE")
    )

    @app.get("/login")
    def login() -> Response:
        state, code_verifier = secrets.token_urlsafe(16), secrets.token_urlsafe(32)
        session["login"] = [state, code_verifier, int(time.time())]
        challenge = base64.urlsafe_b64encode(hashlib.sha256(code_verifier.encode()).digest())
        query = {
            "callback_url": f"{url_for('callback', _external=True)}?state={state}",
            "code_challenge": challenge.rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return redirect(f"{provider_url}/auth?{urlencode(query)}", 303)

    @app.get("/callback")
    def callback() -> Response:
        state, code_verifier, started = session.pop("login", ("", "", 0))
        is_ours = hmac.compare_digest(request.args.get("state", ""), state)
        if not state or not is_ours or time.time() - started > _LOGIN_MAX_AGE:
            abort(400)
        sent = {"code_verifier": code_verifier, "code_challenge_method": "S256"}
        sent["code"] = request.args.get("code", "")
        url = f"{provider_url}/api/v1/auth/keys"
        response = pool.request("POST", url, json=sent, redirect=False)
        if response.status != 200:
            abort(502)
        owner, nonce = secrets.token_urlsafe(16), os.urandom(12)
        sealed = nonce + cipher.encrypt(nonce, response.json()["key"].encode(), owner.encode())
        session["owner"] = owner
        key = base64.urlsafe_b64encode(sealed).decode()
        if keys is None:
            session["key"] = key
        else:
            keys.set(owner, key)
        return redirect("/guarded", 303)

    @app.get("/guarded")
    def guarded() -> str | Response:
        try:
            owner = session["owner"]
            sealed = base64.urlsafe_b64decode(session["key"] if keys is None else keys.get(owner))
            return cipher.decrypt(sealed[:12], sealed[12:], owner.encode()).decode()
        except (KeyError, InvalidTag):
            return redirect("/login", 303)

    return app
