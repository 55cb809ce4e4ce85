"""Subjects: what is measured.

Each module has ``run(rounds, quick)``, which returns rows. ``quick``: take seconds rather than
minutes. It raises ``SkippedError`` when something is not installed.
"""
