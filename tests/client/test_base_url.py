"""Only openrouter.ai is OpenRouter; similar hosts are refused. Look-alikes are built in parts."""

from __future__ import annotations

import pytest
from cases import case
from hypothesis import given
from hypothesis import strategies as st

from flask_openrouter.client.base_url import (
    OPENROUTER,
    credits_url,
    guardrails_url,
    is_below,
    is_loopback_url,
    is_openrouter,
    key_url,
    keys_url,
    logs_url,
    normalize_base_url,
    privacy_url,
)
from flask_openrouter.errors import ConfigurationError

NAME = "open" + "router"
HINT = "; did you mean https://openrouter.ai?"
NO_ORIGIN = "The base URL must be an origin such as https://openrouter.ai, nothing more"
NO_HOST = "The host of the base URL is malformed"
NO_PORT = "The port of the base URL must be between 1 and 65535"
LOOK_ALIKE = "The base URL is not OpenRouter's"

LOOK_ALIKES = {
    "with an ending": "https://openrouter-ai.com",
    "with a hyphen": "https://open-" + "router.dev",
    "without one": "https://" + "openrouter" + "login.com",
    "one letter exchanged": f"https://{NAME[:3]}m{NAME[4:]}.ai",
    "one letter doubled": "https://open" + "rrouter" + ".ai",
    "one letter missing": "https://" + NAME.replace("e", "", 1) + ".ai",
    "hyphen": "https://open-" + "router" + ".ai",
    "zero for o": "https://" + "0pen" + "router.ai",
    "one for l in the top level": f"https://{NAME}.a1",
    "other top level": f"https://{NAME}.al",
    "common top level": f"https://{NAME}.com",
    "www of a look-alike": f"https://www.{NAME}.dev",
    "api of a look-alike": f"https://api.{NAME}.dev",
    "as a prefix": f"https://{NAME}.ai.evil.example",
    "as a suffix": f"https://not{NAME}.ai",
    "a subdomain": f"https://api.{NAME}.ai",
    "as user name": f"https://{NAME}.ai@evil.example",
    "as path": f"https://evil.example/{NAME}.ai",
    "trailing dot": f"https://{NAME}.ai.",
    "other port": f"https://{NAME}.ai:444",
    "plain http": f"http://{NAME}.ai",
    "encoded dot": f"https://{NAME}.ai%2eevil.example",
    "backslash": f"https://{NAME}.ai\\@evil.example",
    "without scheme": f"//{NAME}.ai",
    "bare": f"{NAME}.ai",
    "blank inside": f"https://open {NAME[4:]}.ai",
    "tab inside": f"https://open\t{NAME[4:]}.ai",
    "blank around": f" https://{NAME}.ai ",
    "line break": f"https://{NAME}.ai\n",
    "punycode": "https://xn--pnrouter-90a.ai",
    "punycode in another label": "https://a.xn--pnrouter-90a.example",
    "three digits": "https://0p3nr0" + "uter.ai",
    "many hyphens": "https://o-p-e-n-" + "router.ai",
    "Cyrillic": f"https://{NAME.replace('o', chr(0x43E), 1)}.ai",
    "full width": f"https://{chr(0xFF4F)}{NAME[1:]}.ai",
    "full-width dot": f"https://{NAME}{chr(0x3002)}ai",
    "other path": f"https://{NAME}.ai/api/v2",
    "query": f"https://{NAME}.ai/?x",
    "fragment": f"https://{NAME}.ai/#x",
    "malformed host with the name": f"https://{NAME}..ai",
    "other scheme": f"ftp://{NAME}.ai",
    "two letters missing": f"https://{NAME[1:-1]}.ai",
    "two letters added": f"https://x{NAME}x.ai",
    "two letters exchanged": f"https://b{NAME[1:-1]}n.ai",
    "two letters missing, and a path": f"https://{NAME[1:-1]}.ai/x",
    "in capitals, with a path": f"https://{NAME.upper()}.AI/x",
}


def refusal(url: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        normalize_base_url(url)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.requirement("R112")
def test_look_alikes_are_refused_with_a_hint():
    for name, url in LOOK_ALIKES.items():
        with case(name):
            assert refusal(url) in {f"{why}{HINT}" for why in (NO_ORIGIN, NO_HOST, LOOK_ALIKE)}


def test_every_spelling_of_openrouter_becomes_one():
    for url in [
        "https://openrouter.ai",
        "https://openrouter.ai/",
        "https://OPENROUTER.ai:443",
        "HTTPS://OpenRouter.AI/api/v1",
        "https://openrouter.ai:443/api/v1/",
    ]:
        with case(url):
            assert normalize_base_url(url) == OPENROUTER == "https://openrouter.ai"


def test_other_hosts_are_the_operators_choice():
    for url, origin in [
        ("https://gateway.mycompany.example", "https://gateway.mycompany.example"),
        ("https://openrouter.mycompany.example", "https://openrouter.mycompany.example"),
        ("https://www." + "orca" + "router.ai", "https://www." + "orca" + "router.ai"),
        # Three letters differ.
        (f"https://{NAME[:-3]}.ai", f"https://{NAME[:-3]}.ai"),
        (f"https://xyz{NAME}.io", f"https://xyz{NAME}.io"),
        (f"https://xy{NAME[:-1]}x.ai", f"https://xy{NAME[:-1]}x.ai"),
        (f"https://xyz{NAME[3:]}.ai", f"https://xyz{NAME[3:]}.ai"),
        ("https://" + "a." * 126 + "a", "https://" + "a." * 126 + "a"),
        ("https://llm." + "openrouters.example", "https://llm." + "openrouters.example"),
        ("https://gateway.example:1", "https://gateway.example:1"),
        ("https://gateway.example:65535", "https://gateway.example:65535"),
        ("https://gateway.example:80", "https://gateway.example:80"),
        ("https://Gateway.Example:8443/api/v1", "https://gateway.example:8443"),
        ("https://10.1.2.3", "https://10.1.2.3"),
        ("https://[2001:DB8:0:0::1]:8443", "https://[2001:db8::1]:8443"),
        ("http://localhost:51423", "http://localhost:51423"),
        ("http://LOCALHOST", "http://localhost"),
        ("http://localhost:80/", "http://localhost"),
        ("http://127.0.0.1:5000/api/v1", "http://127.0.0.1:5000"),
        ("http://127.255.0.9:5000", "http://127.255.0.9:5000"),
        ("http://[::1]:5000", "http://[::1]:5000"),
        ("http://[0:0:0:0:0:0:0:1]:5000", "http://[::1]:5000"),
    ]:
        with case(url, origin):
            assert normalize_base_url(url) == origin


@pytest.mark.requirement("R74")
def test_plain_http_is_for_loopback_only():
    for url in [
        "http://gateway.example",
        "http://10.0.0.1",
        "http://localhost.evil.example",
        "http://127.0.0.1.nip.io",
        "http://0.0.0.0",
        "http://[::2]",
    ]:
        with case(url):
            assert refusal(url) == (
                "The base URL must use https; plain http is for localhost, 127.0.0.1 and [::1] only"
            )


def test_a_url_that_is_not_an_origin_is_refused():
    for url in [
        "http://2130706433",
        "http://0x7f.1",
        "http://0x7f",
        "http://127.1",
        "http://127.0.0.01",
        "http://127.0.0.256",
        "https://gateway.example.",
        "https://-gateway.example",
        "https://[1.2.3.4]",
        "https://" + "a" * 64 + ".example",
        "https://" + "a." * 126 + "aa",
    ]:
        with case(url):
            assert refusal(url) == NO_HOST
    for url in ["https://gateway.example:0", "https://gateway.example:65536"]:
        with case(url):
            assert refusal(url) == NO_PORT
    for url in [
        "https://gateway_.example",
        "https://[::1",
        "https://",
        "https://:443",
        "https://gateway.example:",
        "https://gateway.example/api",
        "https://user:hunter2@gateway.example",
        "javascript:alert(1)",
        "",
        None,
        7,
    ]:
        with case(url):
            assert refusal(url) == NO_ORIGIN
    assert refusal(b"https://openrouter.ai") == NO_ORIGIN + HINT


def test_long_input_is_refused_quickly():
    assert refusal("https://" + "o" * 1_000_000) == NO_HOST


def test_openrouter_and_loopback_are_distinguished():
    assert is_openrouter("https://openrouter.ai")
    assert not is_openrouter("https://gateway.example")
    assert is_loopback_url("http://127.0.0.1:5000")
    assert is_loopback_url("https://localhost")
    assert is_loopback_url("http://[::1]:5000")
    assert is_loopback_url("http://[::1]")
    assert not is_loopback_url("https://openrouter.ai")
    assert not is_loopback_url("https://127.0.0.1.nip.io")
    assert not is_loopback_url("https://[2001:db8::1]:443")


@given(st.text(max_size=60) | st.from_regex(r"https?://[a-z0-9.:/\[\]-]{0,40}", fullmatch=True))
def test_normal_form_is_stable_or_the_value_is_refused(url):
    try:
        origin = normalize_base_url(url)
    except ConfigurationError:
        return
    assert normalize_base_url(origin) == origin
    assert origin.startswith("https://") or is_loopback_url(origin)


def test_the_pages_for_a_visitors_key_and_account_are_below_the_base_url():
    """OpenRouter guide "OAuth PKCE" names the page of a key by its hash."""
    assert keys_url(OPENROUTER) == "https://openrouter.ai/settings/keys"
    assert key_url(OPENROUTER, "5eed") == "https://openrouter.ai/keys/5eed"
    assert logs_url(OPENROUTER, "5eed") == "https://openrouter.ai/logs?api_key_hash=5eed"
    assert credits_url("https://gateway.example") == "https://gateway.example/settings/credits"
    assert privacy_url(OPENROUTER) == "https://openrouter.ai/settings/privacy"
    assert guardrails_url(OPENROUTER) == "https://openrouter.ai/settings/guardrails"


@pytest.mark.requirement("A5")
def test_no_encoding_of_a_path_leads_out_of_the_api():
    root = "https://gateway.example/api/v1"
    for path in ("", "/models", "/a/..b", "/a?b=/../c", "/a%2fb"):
        assert is_below(root, root + path), path
    for url in ("https://evil.example/api/v1", "", f"x{root}"):
        assert not is_below(root, url), url
    for path in (
        "/..",
        "/../keys",
        "/%2e%2e/keys",
        "/a/%2E./x",
        "/a\\..\\x",
        "/a/..%5Cx",
        "/..%2fx",
    ):
        assert not is_below(root, root + path), path
