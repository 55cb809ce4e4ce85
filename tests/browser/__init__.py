"""Whole apps in real browsers. A package, so that its tests share one Chromium."""
