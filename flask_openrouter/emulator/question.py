"""A question: a chat request after its members were read and checked.

Source: https://openrouter.ai/docs/api-reference/chat-completion
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from .catalogue import DEFAULT_MODEL, find_model
from .config import EmulatorConfig
from .described_schema import described_schema
from .errors import APIError
from .model import Model
from .prose import count_tokens, text_of

ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool"})
#: The values of ``tool_choice`` that are not the name of a function.
TOOL_CHOICES: Final = ("auto", "none", "required")

_WEB_TOOLS = frozenset({"openrouter:web_search", "web_search", "web_search_preview"})
_HINT = (
    "The settings models (--model) and any_model (--any-model) of the emulator add what it lacks."
)
_ANY_OBJECT: Final = {"type": "object", "required": ["answer"], "properties": {"answer": {}}}
_LENGTHS = ("max_completion_tokens", "max_tokens")


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One function that the model may call, with the JSON Schema of its arguments."""

    name: str
    parameters: Any


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a chat request asks for, whichever API it came by.

    :param requested: the id in the request; ``model`` is the model that serves it.
    :param stop: texts before which the answer ends.
    :param tool_choice: one of :data:`TOOL_CHOICES`, or the name of a function.
    :param schema: the JSON Schema of the answer, or ``None`` for Markdown.
    :param shows_reasoning: whether the thoughts are in the answer; they are charged anyway.
    """

    model: Model
    requested: str
    messages: list[dict[str, Any]]
    stream: bool
    max_tokens: int | None
    stop: tuple[str, ...]
    tools: tuple[Tool, ...]
    tool_choice: str
    parallel: bool
    schema: Any
    reasons: bool
    shows_reasoning: bool
    wants_picture: bool
    searches: bool

    @property
    def text(self) -> str:
        """The last user message."""
        texts = [text_of(message) for message in self.messages if message["role"] == "user"]
        return texts[-1].strip() if texts else ""

    @property
    def prompt_tokens(self) -> int:
        """How many tokens the messages have, by estimate."""
        return sum(count_tokens(text_of(message)) for message in self.messages)

    @property
    def router(self) -> str | None:
        """The id of the router or alias that chose the model, if one did."""
        is_router = self.requested.startswith(("openrouter/", "~"))
        return self.requested if is_router else None


def read_question(body: Mapping[str, Any], config: EmulatorConfig) -> Question:
    """Return what a request for ``/chat/completions`` asks for.

    :raises APIError: 400 if a member has the wrong type, the model is unknown, or the conversation
        is longer than the model's context.
    """
    requested, model = choose_model(body, config)
    messages = _messages(body)
    question = Question(
        model=model,
        requested=requested,
        messages=messages,
        stream=_flag(body, "stream"),
        max_tokens=_max_tokens(body),
        stop=_stop(body),
        tools=_tools(body),
        tool_choice=_tool_choice(body),
        parallel=body.get("parallel_tool_calls") is not False,
        schema=_schema(body, messages),
        reasons=_reasons(body, model),
        shows_reasoning=_shows_reasoning(body),
        wants_picture="image" in _list(body, "modalities"),
        searches=_searches(body, requested),
    )
    if question.prompt_tokens > model.context_length:
        raise APIError(
            400,
            f"This endpoint's maximum context length is {model.context_length} tokens. However, "
            f"you requested about {question.prompt_tokens} tokens. Please reduce the length of "
            "either one, or use the context-compression plugin to compress your prompt "
            "automatically.",
        )
    return question


def choose_model(body: Mapping[str, Any], config: EmulatorConfig) -> tuple[str, Model]:
    """Return the requested id and the model that serves it: the first known of all named.

    :raises APIError: 400 if none is known.
    """
    fallbacks = _list(body, "models")
    if not all(isinstance(name, str) for name in fallbacks):
        raise APIError(400)
    named = [body["model"]] if body.get("model") is not None else []
    named += fallbacks
    if not named:
        return DEFAULT_MODEL.id, DEFAULT_MODEL
    for model_id in named:
        if not isinstance(model_id, str):
            break
        model = find_model(model_id, config)
        if model is not None:
            return model_id, model
    raise unknown_model_error(named[0])


def unknown_model_error(model_id: object) -> APIError:
    """Return the refusal of an unknown model. Its metadata says how to add the model."""
    return APIError(
        400, f"{str(model_id)[:200]} is not a valid model ID", metadata={"emulator": _HINT}
    )


def _messages(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(map(_is_message, messages)):
        raise APIError(400, "Input required: specify messages")
    return messages


def _is_message(message: object) -> bool:
    # A list, because not every value of JSON can be hashed.
    if not isinstance(message, dict) or message.get("role") not in [*ROLES]:
        return False
    content = message.get("content")
    if isinstance(content, list):
        return all(map(_is_part, content))
    return isinstance(content, (str, type(None)))


def _is_part(part: object) -> bool:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        return False
    return isinstance(part.get("text", ""), str)


def _max_tokens(body: Mapping[str, Any]) -> int | None:
    limits = []
    for name in _LENGTHS:
        limit = body.get(name)
        if isinstance(limit, float) and limit.is_integer():
            # JSON has one kind of number (RFC 8259 section 6).
            limit = int(limit)
        if limit is not None:
            if type(limit) is not int or limit < 1:
                raise APIError(400)
            limits.append(limit)
    return limits[0] if limits else None


def _stop(body: Mapping[str, Any]) -> tuple[str, ...]:
    given = body.get("stop")
    texts = [given] if isinstance(given, str) else _list(body, "stop")
    if not all(isinstance(text, str) for text in texts):
        raise APIError(400)
    return tuple(filter(None, texts))


def _tools(body: Mapping[str, Any]) -> tuple[Tool, ...]:
    """Read the functions. OpenRouter's own tools run at OpenRouter."""
    tools = []
    for tool in _list(body, "tools"):
        if not isinstance(tool, dict) or not isinstance(tool.get("type"), str):
            raise APIError(400)
        if tool["type"] == "function":
            function = _object(tool, "function")
            if not isinstance(function.get("name"), str) or not function["name"]:
                raise APIError(400)
            tools.append(Tool(name=function["name"], parameters=function.get("parameters")))
    return tuple(tools)


def _tool_choice(body: Mapping[str, Any]) -> str:
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "function":
        name = _object(choice, "function").get("name")
        if isinstance(name, str):
            return name
    elif isinstance(choice, dict):
        return "auto"
    elif choice is None or choice in TOOL_CHOICES:
        return choice or "auto"
    raise APIError(400)


def _schema(body: Mapping[str, Any], messages: list[dict[str, Any]]) -> Any:
    chosen = _object(body, "response_format")
    kind = chosen.get("type")
    if kind == "json_object":
        return described_schema(messages) or _ANY_OBJECT
    if kind == "json_schema":
        described = _object(chosen, "json_schema")
        if "schema" not in described:
            raise APIError(400)
        return described["schema"]
    return None


def _reasons(body: Mapping[str, Any], model: Model) -> bool:
    reasoning = body.get("reasoning")
    effort = body.get("reasoning_effort")
    if reasoning is not None:
        reasoning = _object(body, "reasoning")
        effort = reasoning.get("effort", effort)
    refused = effort == "none" or (reasoning or {}).get("enabled") is False
    if model.reasoning == "mandatory":
        if refused:
            raise APIError(400, "Reasoning is mandatory for this endpoint and cannot be disabled.")
        return True
    asked = reasoning is not None or effort is not None or body.get("include_reasoning") is True
    return asked and not refused


def _shows_reasoning(body: Mapping[str, Any]) -> bool:
    is_excluded = _object(body, "reasoning").get("exclude") is True
    return not is_excluded and body.get("include_reasoning") is not False


def _searches(body: Mapping[str, Any], requested: str) -> bool:
    plugins = [plugin.get("id") for plugin in _list(body, "plugins") if isinstance(plugin, dict)]
    tools = {tool.get("type") for tool in _list(body, "tools") if isinstance(tool, dict)}
    return requested.endswith(":online") or "web" in plugins or not _WEB_TOOLS.isdisjoint(tools)


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if not isinstance(value, (bool, type(None))):
        raise APIError(400)
    return bool(value)


def _list(body: Mapping[str, Any], name: str) -> list[Any]:
    value = [] if body.get(name) is None else body[name]
    if not isinstance(value, list):
        raise APIError(400)
    return value


def _object(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = {} if body.get(name) is None else body[name]
    if not isinstance(value, dict):
        raise APIError(400)
    return value
