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
            with pytest.raises(
                ValueError, match="code_verifier must be 43 to 128 characters"
            ) as caught:
                create_code_challenge(verifier)
            assert (
                not isinstance(verifier, str) or not verifier or verifier not in str(caught.value)
            )


def test_unknown_method_is_refused():
    for method in ["s256", "PLAIN", "none", "", "S512", None]:
        with case(method), pytest.raises(ValueError, match='exactly "S256" or "plain"'):
            create_code_challenge("a" * 43, method)


def test_client_offers_both_functions():
    client = OpenRouterClient()
    verifier = client.create_code_verifier()
    assert client.create_code_challenge(verifier) == create_code_challenge(verifier)
    assert OpenRouterClient.create_code_challenge(verifier, "plain") == verifier
