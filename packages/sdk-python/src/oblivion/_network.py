"""Where it is said how Nexus is reached: through which proxy, trusting whom, shown as whom."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from oblivion._checks import SETTINGS
from oblivion.errors import ConfigurationError

_Path: TypeAlias = str | os.PathLike[str]


@dataclass(frozen=True, kw_only=True)
class Network:
    """How Nexus is reached; it counts for HTTP and for the WebSocket. Waits are in ``Timeouts``.

    Attributes:
        proxy: the URL of an HTTP proxy, such as ``http://user:password@proxy.example.com:3128``.
            Only a Nexus at ``https://`` is reached through one.
        trust_env: whether, without ``proxy``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``
            (or the system's settings on macOS and Windows) say which one.
        ca_file: a PEM file of the certificate authorities to trust, instead of the machine's.
        client_certificate: a PEM file of the certificate that the client shows, with those
            between it and its authority.
        client_key: a PEM file of its key, if that is not in the same file.
        client_key_password: what the key is encrypted with, if it is.
    """

    # May carry a password, as may the one below.
    proxy: str | None = field(default=None, repr=False)
    trust_env: bool = True
    ca_file: _Path | None = None
    client_certificate: _Path | None = None
    client_key: _Path | None = None
    client_key_password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        SETTINGS.optional_text("network.proxy", self.proxy)
        SETTINGS.flag("network.trust_env", self.trust_env)
        for name in ("ca_file", "client_certificate", "client_key"):
            _check_path(f"network.{name}", getattr(self, name))
        SETTINGS.optional_text("network.client_key_password", self.client_key_password)
        if self.client_certificate is None and (self.client_key or self.client_key_password):
            raise ConfigurationError("network.client_key needs network.client_certificate")


def network_from_env(environ: Mapping[str, str]) -> Network:
    """Return the network as the ``OBLIVION_*`` variables of ``environ`` give it."""
    given: dict[str, Any] = {
        name: environ[variable].strip()
        for variable, name in VARIABLES.items()
        if environ.get(variable, "").strip()
    }
    return Network(**given)


VARIABLES = {
    "OBLIVION_PROXY": "proxy",
    "OBLIVION_CA_FILE": "ca_file",
    "OBLIVION_CLIENT_CERTIFICATE": "client_certificate",
    "OBLIVION_CLIENT_KEY": "client_key",
    "OBLIVION_CLIENT_KEY_PASSWORD": "client_key_password",
}
"""The variables of :meth:`OblivionClient.from_env`, and the fields that they set."""


def _check_path(name: str, value: object) -> None:
    if value is not None and not isinstance(value, os.PathLike):
        SETTINGS.text(name, value)
