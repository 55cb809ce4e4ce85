"""The extension's own responses: their addresses, pages and JSON."""
