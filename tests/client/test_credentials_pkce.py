from __future__ import annotations

import base64
import hashlib
import random
import re

import pytest
from cases import case
from hypothesis import given
from hypothesis import strategies as st

from flask_openrouter.client import OpenRouterClient
from flask_openrouter.client.credentials import create_code_challenge, create_code_verifier

UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


def test_challenge_is_that_of_rfc_7636_appendix_b():
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert create_code_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_plain_challenge_is_the_verifier():
    verifier = create_code_verifier()
    assert create_code_challenge(verifier, "plain") == verifier


@pytest.mark.requirement("R5")
def test_verifiers_are_43_unreserved_characters_and_never_repeat():
    random.seed(0)
    verifiers = {create_code_verifier() for _ in range(2_000)}
    random.seed(0)
    verifiers |= {create_code_verifier() for _ in range(2_000)}
    assert len(verifiers) == 4_000
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", verifier) for verifier in verifiers)


@given(st.text(alphabet=UNRESERVED, min_size=43, max_size=128))
def test_challenge_is_the_unpadded_hash_of_every_valid_verifier(verifier):
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = create_code_challenge(verifier)
    assert base64.urlsafe_b64decode(challenge + "=") == digest
    assert len(challenge) == 43


def test_malformed_verifier_is_refused():
    for verifier in [
        "",
        "a" * 42,
        "a" * 129,
        "a" * 42 + "=",
        "a" * 42 + "+",
        "a" * 43 + "\n",
        "é" * 43,
        None,
        7,
    ]:
        with case(verifier):
            with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared
                create_code_challenge(verifier)
            assert str(caught.value) == (
                "code_verifier must be 43 to 128 characters of A-Z a-z 0-9 - . _ ~ (RFC 7636 §4.1)"
            )


def test_unknown_method_is_refused():
    for method in ["s256", "PLAIN", "none", "", "S512", None]:
        with case(method):
            with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared
                create_code_challenge("a" * 43, method)
            assert str(caught.value) == 'code_challenge_method must be exactly "S256" or "plain"'


def test_malformed_challenge_is_refused():
    url = OpenRouterClient().authorization_url
    for challenge in ["", "a" * 42, "a" * 44, "a" * 42 + ".", "a" * 43 + "\n", 7]:
        with case(challenge):
            with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared
                url("https://app.example/callback", challenge)
            assert str(caught.value) == (
                "code_challenge must be 43 characters of A-Z a-z 0-9 - _ for S256 (RFC 7636 §4.2)"
            )
    assert url("https://app.example/callback", "~" * 128, "plain")
    for challenge in ["~" * 42, "~" * 129, 7]:
        with case(challenge):
            with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared
                url("https://app.example/callback", challenge, "plain")
            assert str(caught.value) == (
                "code_challenge must be 43 to 128 characters of A-Z a-z 0-9 - . _ ~ (RFC 7636 §4.2)"
            )


def test_client_offers_both_functions():
    client = OpenRouterClient()
    verifier = client.create_code_verifier()
    assert client.create_code_challenge(verifier) == create_code_challenge(verifier)
    assert OpenRouterClient.create_code_challenge(verifier, "plain") == verifier
