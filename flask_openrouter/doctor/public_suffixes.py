"""Domains under which anyone can have a site: browsers accept no cookie for such a domain.

The whole list (publicsuffix.org) has thousands of entries. These are the usual ones.
"""

from __future__ import annotations

import re
from typing import Final

#: Of hosts for web apps, from the private part of the list.
_HOSTS: Final = frozenset(
    {
        "appspot.com", "a.run.app", "azurewebsites.net", "cloudfront.net", "firebaseapp.com",
        "fly.dev", "github.io", "gitlab.io", "herokuapp.com", "koyeb.app", "netlify.app",
        "ngrok.app", "ngrok.dev", "ngrok.io", "ngrok-free.app", "ngrok-free.dev", "onrender.com",
        "pages.dev", "pythonanywhere.com", "replit.app", "replit.dev", "run.app",
        "trycloudflare.com", "up.railway.app", "vercel.app", "web.app", "workers.dev",
    }
)  # fmt: skip
#: Such as co.uk and com.au.
_NATIONAL: Final = re.compile(r"(ac|co|com|edu|gov|net|org)\.[a-z]{2}")


def is_public_suffix(domain: str) -> bool:
    """Whether browsers accept no cookie for this domain, in lower case without a leading dot."""
    if not domain or domain == "localhost":
        return False
    return "." not in domain or domain in _HOSTS or _NATIONAL.fullmatch(domain) is not None
