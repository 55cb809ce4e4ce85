"""The tables of docs/conformance.md, made from what everybody really does.

``python tests/conformance.py`` writes them into the page; a test says when that is due.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from callers import ATTRIBUTION, Caller, OurClient, PythonSDK
from openapi_document import operation as documented_operation
from protocol_steps import (
    CALLBACK_URL,
    CODE_CHALLENGE,
    CODE_VERIFIER,
    PLAIN,
    S256,
    approved_code,
    bearer,
    code_in,
)

from flask_openrouter.emulator import Emulator

PAGE = Path(__file__).parent.parent / "docs" / "conformance.md"
COLUMNS = ("documented", "Python SDK", "TypeScript SDK", "ours", "emulator")
YES, NO = "yes", "–"
#: Where OpenRouter documents what its OpenAPI document leaves out.
GUIDE, REFERENCE = "guide", "reference"

OPERATIONS = {
    "exchange": ("POST", "/auth/keys"),
    "create_code": ("POST", "/auth/keys/code"),
    "key": ("GET", "/key"),
    "credits": ("GET", "/credits"),
    "models": ("GET", "/models"),
    "models_user": ("GET", "/models/user"),
    "chat": ("POST", "/chat/completions"),
}
QUESTION: dict[str, Any] = {
    "model": "openai/gpt-4o-mini",
    "messages": [{"role": "user", "content": "What is Flask?"}],
}
WORKSPACE_ID = "12345678-1234-4234-8234-123456789012"
