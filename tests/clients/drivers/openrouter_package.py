"""``openrouter``: the examples of OpenRouter's documentation, and a login."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import parse_qs, urlencode, urlsplit

from emulated import API, KEY, MODEL, QUESTION, QUOTED, URL, approve, check_key, refusal_of, run
from openrouter import OpenRouter
from openrouter.errors import ForbiddenResponseError, UnauthorizedResponseError

#: The verifier of the documentation's example, which is that of RFC 7636.
CODE_VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
MESSAGES = [{"role": "user", "content": QUESTION}]


def documented_examples() -> None:
    """Run the examples of the documentation. Only the server's address and the key differ."""
    with OpenRouter(
        http_referer="<value>",
        x_open_router_title="<value>",
        x_open_router_categories="<value>",
        api_key=KEY,
        server_url=API,
    ) as open_router:
        created = open_router.o_auth.create_auth_code(
            callback_url="https://myapp.com/auth/callback",
            code_challenge="E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            code_challenge_method="S256",
            limit=100,
        )
        res = open_router.o_auth.exchange_auth_code_for_api_key(
            code=created.data.id,
            code_challenge_method="S256",
            code_verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        )
    check_key(res.key)
    with OpenRouter(api_key=res.key, server_url=API) as open_router:
        res = open_router.chat.send(
            messages=[
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": "What is the capital of France?"},
            ],
            model="openai/gpt-4",
            temperature=0.7,
            max_tokens=150,
            stream=False,
        )
    assert res.choices[0].message.content


def login() -> None:
    """Log in with a consent page. A wrong verifier is refused."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(CODE_VERIFIER.encode()).digest())
    query = {
        "callback_url": "http://localhost:3000/callback",
        "code_challenge": challenge.rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    with OpenRouter(server_url=API) as anonymous:
        for code_verifier in (CODE_VERIFIER, "w" * 43):
            callback = approve(f"{URL}/auth?{urlencode(query)}")
            (code,) = parse_qs(urlsplit(callback).query)["code"]
            exchange = anonymous.o_auth.exchange_auth_code_for_api_key
            try:
                issued = exchange(
                    code=code, code_verifier=code_verifier, code_challenge_method="S256"
                )
            except ForbiddenResponseError:
                assert code_verifier != CODE_VERIFIER
            else:
                assert code_verifier == CODE_VERIFIER
                check_key(issued.key)


def chat() -> None:
    with OpenRouter(api_key=KEY, server_url=API) as sdk:
        completion = sdk.chat.send(model=MODEL, messages=MESSAGES)
    assert QUOTED in completion.choices[0].message.content
    assert completion.usage.cost > 0


def stream() -> None:
    with (
        OpenRouter(api_key=KEY, server_url=API) as sdk,
        sdk.chat.send(model=MODEL, messages=MESSAGES, stream=True) as events,
    ):
        *chunks, usage = list(events)
    assert QUOTED in "".join(chunk.choices[0].delta.content for chunk in chunks)
    assert usage.usage.cost > 0


def responses() -> None:
    with OpenRouter(api_key=KEY, server_url=API) as sdk:
        response = sdk.responses.send(model=MODEL, input=QUESTION)
    assert response.status == "completed"


def embeddings() -> None:
    with OpenRouter(api_key=KEY, server_url=API) as sdk:
        found = sdk.embeddings.generate(model="openai/text-embedding-3-small", input="soup")
    assert len(found.data[0].embedding) == 1536


def models() -> None:
    with OpenRouter(api_key=KEY, server_url=API) as sdk:
        assert MODEL in [model.id for model in sdk.models.list().result.data]


def errors() -> None:
    with OpenRouter(api_key="sk-or-v1-unknown", server_url=API) as sdk:
        error = refusal_of(sdk.api_keys.get_current_key_metadata)
    assert isinstance(error, UnauthorizedResponseError)


if __name__ == "__main__":
    run(documented_examples, login, chat, stream, responses, embeddings, models, errors)
