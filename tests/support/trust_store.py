"""A trust store of one certificate, for tests without TLS.

Each HTTP client loads its trusted authorities, even if it then speaks plain HTTP. The 150 of
certifi take 25 ms, which is most of the time of a test that creates a client.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from certificates import CertificateAuthority

__all__ = ["one_trusted_authority"]


@pytest.fixture(scope="module", autouse=True)
def one_trusted_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trust a single authority. Tests of TLS set the environment themselves."""
    authority = CertificateAuthority(tmp_path_factory.mktemp("authority"))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", str(authority.bundle))
        yield
