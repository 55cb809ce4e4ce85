"""A page of an app under test that shows the template of a test."""

from __future__ import annotations

from flask import Flask, render_template_string


def add_page(app: Flask) -> None:
    """Add ``/page``, which shows the template in ``app.config["PAGE"]``."""

    @app.route("/page", methods=["GET", "POST"])
    def page() -> str:
        return render_template_string(app.config["PAGE"])
