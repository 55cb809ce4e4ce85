"""A model's Markdown on the page: readable and harmless."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from example_app import highlight
from example_app.render import MAX_BRACKETS, MAX_LINKS, LiveMarkdown, to_html

SAMPLE = """# Title

Some **bold** and ~~gone~~ text with `code`.

| left | right |
|:-----|------:|
| 1    | 2     |

- one
- two

  a second paragraph
3. three

```python
def f(x: int) -> str:  # note
    return "a" * x
```

    indented

> quoted
"""

#: Fragments that mean something to Markdown or to HTML.
# fmt: off
FRAGMENT = st.sampled_from([
    "# ", "\n\n", "\n", "```", "```python\n", "~~~\n", "| a | b |\n|--|--|\n", "- ", "1. ", "> ",
    "    ", "- [ ] ", "https://a.example/", "http", "://",
    "**", "_", "`", "[x](javascript:alert(1))", "![y](https://evil.example)", "<img src=x>",
    "<script>", "</div>", "<!--", "&lt;", "[z]: https://evil.example\n", "---\n", "word ", "\r\n",
])
# fmt: on


@pytest.fixture(scope="module", autouse=True)
def colours_take_their_time() -> Iterator[None]:
    """A slow machine would leave out the colours of code, which these tests look at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(highlight, "MAX_TIME", 3600)
        yield


class _Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def assert_harmless(html: str) -> None:
    for tag, attributes in _Tags(html).found:
        assert tag not in {"script", "style", "img", "iframe", "svg", "form", "input", "h1", "h2"}
        assert set(attributes) <= {"href", "title", "target", "rel", "start", "class", "tabindex"}
        if tag == "a" and attributes.get("href"):
            assert urlsplit(str(attributes["href"])).scheme in ("", "http", "https", "mailto")
            assert "noopener" in str(attributes["rel"])


def live(pieces: list[str]) -> str:
    """Return the HTML on the page after these pieces have arrived one by one."""
    markdown = LiveMarkdown()
    html = ""
    for piece in pieces:
        markdown.add(piece)
        finished, tail = markdown.render()
        assert_harmless(finished + tail)
        html += finished
    return html + markdown.end()


def test_common_markdown_is_rendered() -> None:
    html = to_html(SAMPLE)
    for part in (
        "<h3>Title</h3>",
        "<strong>bold</strong>",
        "<s>gone</s>",
        '<th class="right">right</th>',
        "<li>",
        '<ol start="3">',
        '<p class="code-head">python</p>',
        '<span class="k">def</span>',
        "<blockquote>",
    ):
        assert part in html
    assert_harmless(html)
    assert "style=" not in html


def test_elements_that_scroll_can_be_reached_by_keyboard() -> None:
    html = to_html(SAMPLE)
    assert '<pre tabindex="0">' in html
    assert '<div class="wide" tabindex="0">' in html


def test_an_image_is_a_link_and_loads_nothing() -> None:
    html = to_html('![a "chart"](https://a.example/x.png)')
    assert "<img" not in html
    assert re.search(r'<a href="https://a.example/x.png"[^>]*>Image: a "chart"</a>', html)
    assert "Image: without description" in to_html("![](https://a.example/x.png)")


def test_a_text_of_brackets_has_no_marked_links() -> None:
    """Looking for them would take a second."""
    link = "[x](https://a.example)"
    assert ">x</a>" in to_html(link + "[" * (MAX_BRACKETS - 1))
    assert ">x</a>" not in to_html(link + "[" * MAX_BRACKETS)
    assert "<strong>" in to_html("**x** " + "![a![b](" * MAX_BRACKETS)
    # Each of the two limits ends its own kind of links only.
    assert "<a" in to_html("https://a.example/ " + "[" * 2 * MAX_BRACKETS)
    many = MAX_LINKS + 1
    assert to_html(f"{link} https://a.example/ " * many).count("<a ") == many


def test_an_address_becomes_one_link() -> None:
    for text, url in (
        ("see https://a.example/b?c=d&e=f#g.", "https://a.example/b?c=d&amp;e=f#g"),
        ("(https://a.example/x)", "https://a.example/x"),
        ("https://a.example/x_(y)", "https://a.example/x_(y)"),
        ("**https://a.example**", "https://a.example"),
        ("读 http://a.example/路", "http://a.example/%E8%B7%AF"),
        ("<https://a.example>", "https://a.example"),
        ("[x](https://a.example)", "https://a.example"),
    ):
        assert re.findall(r'<a href="([^"]*)"', to_html(text)) == [url], text
    for text in (
        "`https://a.example`",
        "https://",
        "https:// x",
        "xhttps://a.example",
        "javascript://a",
        "a://b",
    ):
        assert "<a" not in to_html(text), text
        assert text.strip("`") in to_html(text), text


def test_formulas_are_shown_as_they_are_written() -> None:
    for formula in (
        r"\(E = m_1*c*x_2\)",
        r"\[a_1 * b * c_2\]",
        "$a*b*c$",
        "$$x_1 * y * z_2$$",
        "\\[\na \\\\\n+ b\n- c\n= d\n\\]",
        "$$\n> x*y*z\n# 1\n$$",
        "\\begin{align}\na &= b \\\\\n* c\n\\end{align}",
        r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}",
        "\\[\nno end *a*\n+ b",
    ):
        for before, after in (("", ""), ("We have\n", "\n"), ("- one\n- ", "\n- two")):
            text = before + formula.replace("\n", "\n  " if "- " in before else "\n") + after
            for html in (to_html(text), live(list(text))):
                words = unescape(re.sub("<[^>]*>", "", html.replace("<br>", "\n")))
                assert formula in words, text
                assert "<em>" not in html, text
    for text, emphasis in (
        (r"\[a\]. Then *b*" + "\n\nc", "b"),
        ("It costs $5 *or* $10", "or"),
        ("Set $HOME or `$PATH`, *always*", "always"),
        (r"\(no end *x*", "x"),
        ("$$ *y*\n\n*z*", "z"),
    ):
        assert f"<em>{emphasis}</em>" in to_html(text), text
        assert live(list(text)) == to_html(text)
    assert "<code>$PATH</code>" in to_html("Set $HOME or `$PATH`")


def test_a_cell_can_have_several_lines() -> None:
    html = to_html("| a | b |\n|--|--|\n| x<br>y<br/>z<br />w | `<br>` <b> |\n\nuse <br> here")
    assert "<td>x<br>y<br>z<br>w</td>" in html
    assert "<code>&lt;br&gt;</code> &lt;b&gt;</td>" in html
    assert "use &lt;br&gt; here" in html


def test_hostile_markdown_is_harmless() -> None:
    for text in (
        "[x](javascript:alert(1))",
        "[x](data:text/html,x)",
        "![x](javascript:alert(1))",
        "<a href='javascript:alert(1)'>x</a>",
        "<img src=x onerror=alert(1)>",
        '```"><script>\nx\n```',
        "<div class='code' onclick=x>",
        "[x](https://a.example 'a\" onclick=\"b')",
    ):
        assert_harmless(to_html(text))


def test_an_unknown_language_is_shown_in_one_colour() -> None:
    html = to_html("```klingon<b>\nqapla'\n```")
    assert "qapla'" in html
    assert "<span" not in html
    assert to_html("```python\n" + "x = 1\n" * 5_000 + "```").count("<span") == 0


def test_an_answer_in_pieces_renders_like_a_complete_one() -> None:
    for size in (1, 3, 17):
        pieces = [SAMPLE[i : i + size] for i in range(0, len(SAMPLE), size)]
        assert live(pieces) == to_html(SAMPLE)
    # An incomplete line does not end a block.
    for text in ("| a | b |\n|--|--|\n#| c | d |", "one\n#two", "one\n-two"):
        assert live(list(text)) == to_html(text)


@settings(max_examples=3 * settings.default.max_examples)
@given(st.lists(st.one_of(FRAGMENT, st.text(max_size=8)), max_size=25))
def test_any_pieces_are_harmless_and_render_like_the_complete_text(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert_harmless(to_html(text))
    finished = live(pieces)
    words = re.compile(r"\w+")
    assert words.findall(re.sub("<[^>]*>", " ", finished)) == words.findall(
        re.sub("<[^>]*>", " ", to_html(text.replace("\r", "")))
    )
