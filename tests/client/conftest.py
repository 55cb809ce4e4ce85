"""One trusted authority for all tests of the client."""

from trust_store import one_trusted_authority

__all__ = ["one_trusted_authority"]
