"""The texts of the answers: Markdown, always the same to the same question, and made up.

Every answer says so at its end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .model import Model

_MAX_QUOTED = 280
_GREETING = re.compile(r"(?:hi|hello|hey|good (?:morning|evening|day)|hallo|hola|salut)\b", re.I)

_PKCE = """\
Imagine that you leave your coat at a cloakroom.

1. **You tear a ticket in two.** You keep one half in your pocket. Nobody has seen it.
2. **You hand in the coat with the other half.** Everybody may look at that half.
3. **You come back and show the half from your pocket.** The two halves fit, so it is your coat.

A thief who watched you saw only the half on the counter. It is no use without yours.

```text
   your pocket          the counter
  +-----------+        +-----------+
  |  ticket  /          \\  ticket   |
  |  half 1 <            < half 2   |
  |_________\\            /__________|
   code_verifier        code_challenge
```

On the web, your app is the visitor, the coat is a key, and the cloakroom is OpenRouter.

> PKCE is spoken *pixie*. RFC 7636 describes it, in somewhat longer words."""

_SOUPS = """\
Three soups that are better on the second day:

| soup | why it improves | how to reheat it |
|:-----|:----------------|-----------------:|
| Lentil soup | the lentils thicken it and take up the cumin | slowly, with a little water |
| Goulash soup | paprika and meat give their taste to the broth | 10 minutes, below boiling |
| Minestrone | beans and cheese rind make the broth *creamy* | gently, noodles added fresh |

What they have in common:

- **Time.** Spices dissolve in fat, and that takes a night.
- **Starch.** Beans and lentils bind the broth while it cools.
- **Acid last.** Lemon or vinegar belongs in on the day of eating.

Before you go to bed:

- [x] cool the pot quickly
- [ ] put it into the refrigerator"""

_PYTHON = """\
It prints every word once, in alphabetical order, separated by commas. From the inside out:

1. `set(words)` drops the duplicates.
2. `sorted(…)` returns the rest as a list, in order.
3. `*` passes each word to `print` as an argument of its own.
4. `sep=", "` goes between them, instead of a space.

```python
words = ["pear", "apple", "pear", "fig"]

print(*sorted(set(words)), sep=", ")
# apple, fig, pear
```

Capital letters come first in this order: `sorted(set(words), key=str.casefold)` ignores them."""

#: Questions that have an answer of their own: among them those that the example app proposes.
_TOPICS: Final = (
    (re.compile(r"\bexplain pkce\b|\bpkce\b.*\byear-old\b", re.I), _PKCE),
    (re.compile(r"\bsoups\b", re.I), _SOUPS),
    (re.compile(r"sorted\(set\(|\bline of python\b", re.I), _PYTHON),
)


def compose_answer(model: Model, messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the answer to a conversation, in Markdown.

    It quotes the last user message verbatim, or the result of a tool that came after it. A few
    topics have an answer of their own.
    """
    texts = [text_of(message) for message in messages if message.get("role") == "user"]
    text = texts[-1].strip() if texts else ""
    closing = (
        f"This is an emulated answer: no model ran and nothing left your machine. The real "
        f"{model.short_name} would take it from here."
    )
    if messages and messages[-1].get("role") == "tool":
        return f"{_of_tool(text_of(messages[-1]))}\n\n{closing}"
    for topic, answer in _TOPICS:
        if topic.search(text):
            return f"{answer}\n\n---\n\n{closing}"
    return f"{_opening(_shortened(text))}{_reminder(len(texts))}\n\n{closing}"


def compose_reasoning(model: Model, text: str) -> str:
    """Return the thoughts of a model that reasons about the last user message."""
    about = f"They wrote “{_shortened(text, 80)}”" if text else "They wrote nothing"
    return (
        f"{about}. I am an emulated {model.short_name}, so I have nothing to think with. "
        "I will say that, and keep it short."
    )


def text_of(message: Mapping[str, Any]) -> str:
    """Return the text of a message. Its content is a string or a list of parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if isinstance(part, Mapping))
    return " ".join(text for text in texts if isinstance(text, str))


def count_tokens(text: str) -> int:
    """Estimate how many tokens a text has: one for four characters, at least one."""
    return max(1, -(-len(text) // 4))


def split_into_words(text: str) -> list[str]:
    """Split an answer into the pieces of a stream. Joined, they are the text again."""
    return re.findall(r"\S+\s*|^\s+", text)


def _shortened(text: str, length: int = _MAX_QUOTED) -> str:
    return text if len(text) <= length else f"{text[:length].rstrip()}…"


def _of_tool(result: str) -> str:
    shown = _shortened(result.strip())
    if not shown:
        return "The tool returned nothing, so I have nothing to add."
    # A fence must be longer than any in the result.
    fence = max(["``", *re.findall(r"`+", shown)], key=len) + "`"
    return f"The tool returned this:\n\n{fence}\n{shown}\n{fence}\n\nThat answers your question."


def _opening(quoted: str) -> str:
    if not quoted:
        return "You sent me a message without words, so I have none to work with."
    if _GREETING.match(quoted):
        return f"Hello, and nice to meet you! You wrote “{quoted}”. What would you like to know?"
    if quoted.endswith("?"):
        return (
            f"Good question. You asked: “{quoted}” I cannot look anything up, but your question "
            "arrived whole, was paid for with your own key, and streamed back word by word."
        )
    return (
        f"Thank you. You wrote: “{quoted}” Your message arrived whole, and this is my reply to it."
    )


def _reminder(turns: int) -> str:
    return f" (That was message {turns} of our conversation.)" if turns > 1 else ""
