"""Responses of the extension's own: their addresses, and the form that suits the browser."""
