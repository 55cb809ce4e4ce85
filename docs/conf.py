"""How the documentation is built: ``make docs``, then open ``docs/_build/html/index.html``.

The build needs no network, and the pages load nothing from elsewhere.
"""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import Any

from docutils import nodes
from sphinx.util.nodes import make_refnode

project = "Flask-OpenRouter"
author = "The Flask-OpenRouter authors"
project_copyright = author
release = installed_version(project)
version = release

extensions = [
    "myst_parser",
    "pallets_sphinx_themes",
    "sphinx.ext.autodoc",
]
exclude_patterns = ["_build"]

# -- Markdown that GitHub shows as well --------------------------------------------------------

myst_enable_extensions = ["colon_fence"]
# Every heading can be linked to, by the name that GitHub gives it.
myst_heading_anchors = 4
suppress_warnings = [
    # About two domains of the theme, of which these pages use none.
    "myst.domains",
]

# -- references ---------------------------------------------------------------------------------

nitpicky = True
nitpick_ignore_regex = [
    # Names of Python, Flask and others: to look them up, the build would need the network.
    (r"py:.*", r"(?!flask_openrouter).*"),
    # Type variables have no page.
    (r"py:class", r"flask_openrouter\..*\.[A-Z]"),
    # Nor has what no program names.
    (r"py:class", r"flask_openrouter\..*\._\w+"),
]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_use_unqualified_type_names = True

# -- pages --------------------------------------------------------------------------------------

html_theme = "flask"
html_title = f"{project} {release}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
templates_path = ["_templates"]
html_sidebars = {"**": ["searchbox.html", "pages.html"]}
html_show_sourcelink = False
html_show_copyright = False
# It would ask pypi.org for the newest release whenever a page is opened.
version_banner = False


def let_tables_scroll(app: Any, doctree: nodes.document, page: str) -> None:
    """Put each table into a box that scrolls when the table is wider than the page."""
    for table in list(doctree.findall(nodes.table)):
        box = nodes.container(classes=["scrolls"])
        table.replace_self(box)
        box += table


def find_by_last_name(app: Any, env: Any, node: Any, contnode: Any) -> nodes.reference | None:
    """Let ``:class:`KeyRejectedError``` in a docstring find the one class of ours of this name."""
    name = node["reftarget"].lstrip(".")
    if node.get("refdomain") != "py":
        return None
    objects = env.domains["py"].objects.items()
    found = [(full, o) for full, o in objects if full.endswith(f".{name}") and not o.aliased]
    if len(found) != 1:
        return None
    ((full, target),) = found
    return make_refnode(app.builder, node["refdoc"], target.docname, target.node_id, contnode, full)


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("missing-reference", find_by_last_name)
    app.connect("doctree-resolved", let_tables_scroll)
