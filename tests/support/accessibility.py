"""An accessibility check of a page with axe-core."""

from __future__ import annotations

import json

from tab import Tab


def assert_accessible(tab: Tab, state: str = "") -> None:
    """Assert that axe finds no violation. ``state`` names the state of the page in the failure."""
    from axe_playwright_python.sync_playwright import Axe

    # Without its style sheets, a page has the browser's colours.
    tab.page.wait_for_load_state()
    tab.wait_for_animations()
    if not tab.page.evaluate("'axe' in window"):
        tab.page.evaluate(Axe().axe_script)
    run = "axe.run({resultTypes: ['violations']}).then((found) => found.violations)"
    violations = tab.page.evaluate(run)
    assert violations == [], f"{state}: {json.dumps(violations, indent=1)}"
