"""Where the settings of a client live: checked once, frozen afterwards."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict
from urllib.parse import urlsplit

from oblivion._bounds import Limits, Timeouts
from oblivion._busy import BUSY_POLICIES, BusyPolicy
from oblivion._checks import SETTINGS
from oblivion._clock import Clock
from oblivion._network import Network, network_from_env
from oblivion.errors import ConfigurationError

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class Secret:
    """A string that never shows itself in a repr, a log line or a traceback."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself, for the one place that sends it."""
        return self._value

    def __repr__(self) -> str:
        return "'**********'"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a client was told; see :class:`~oblivion.OblivionClient` for the meanings."""

    nexus_url: str
    client_id: str
    client_secret: Secret
    auto_reconnect: bool = True
    reconnect_delay: float = 5.0
    capabilities: tuple[str, ...] = ()
    version: str = ""
    max_concurrency: int = 1
    drain_timeout: float = 30.0
    on_busy: BusyPolicy = "queue"
    limits: Limits = field(default_factory=Limits)
    timeouts: Timeouts = field(default_factory=Timeouts)
    network: Network = field(default_factory=Network)

    def __post_init__(self) -> None:
        SETTINGS.text("client_id", self.client_id)
        SETTINGS.flag("auto_reconnect", self.auto_reconnect)
        SETTINGS.number("reconnect_delay", self.reconnect_delay, low=0, above=True)
        SETTINGS.text("version", self.version, empty=True)
        SETTINGS.whole("max_concurrency", self.max_concurrency, low=1, high=1_000)
        SETTINGS.number("drain_timeout", self.drain_timeout, low=0)
        if self.on_busy not in BUSY_POLICIES:
            raise ConfigurationError(
                f"on_busy must be one of {', '.join(BUSY_POLICIES)}, not {self.on_busy!r}"
            )
        if not isinstance(self.limits, Limits):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
            raise SETTINGS.wrong_type("limits must be an oblivion.Limits")
        if not isinstance(self.timeouts, Timeouts):  # pyright: ignore[reportUnnecessaryIsInstance] - as above
            raise SETTINGS.wrong_type("timeouts must be an oblivion.Timeouts")
        if not isinstance(self.network, Network):  # pyright: ignore[reportUnnecessaryIsInstance] - as above
            raise SETTINGS.wrong_type("network must be an oblivion.Network")


class Overrides(TypedDict, total=False):
    """What of a client can be set otherwise for a while; see :class:`~oblivion.OblivionClient`."""

    nexus_url: str
    client_secret: str
    auto_reconnect: bool
    reconnect_delay: float
    max_concurrency: int
    drain_timeout: float
    limits: Limits
    timeouts: Timeouts
    network: Network
    clock: Clock


def overridden(settings: Settings, given: Overrides) -> Settings:
    """Return the settings with what is given in place.

    Raises:
        ConfigurationError: a value is wrong.
    """
    values: dict[str, Any] = {name: value for name, value in given.items() if name != "clock"}
    if "nexus_url" in given:
        values["nexus_url"] = clean_url(given["nexus_url"])
    if "client_secret" in given:
        values["client_secret"] = clean_secret(given["client_secret"])
    return replace(settings, **values)


def clean_secret(value: object) -> Secret:
    """Return the secret wrapped, so that it can no longer be printed by accident."""
    return Secret(SETTINGS.text("client_secret", value))


def clean_url(value: object) -> str:
    """Return the URL without a trailing slash, or raise ConfigurationError.

    A path is kept: a Nexus behind ``https://host/nexus`` is asked at ``/nexus/socket.io``.
    """
    url = SETTINGS.text("nexus_url", value).strip()
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError as error:
        raise ConfigurationError(f"nexus_url is not a URL: {error}") from None
    if "@" in parts.netloc:
        raise ConfigurationError(
            "nexus_url must not carry credentials: pass client_id and client_secret instead"
        )
    if parts.scheme not in {"http", "https"} or not usable:
        raise ConfigurationError(
            "nexus_url must look like http://localhost:3000 or https://nexus.example.com, "
            f"not {url!r}"
        )
    if parts.query or parts.fragment:
        raise ConfigurationError("nexus_url must not have a query or a fragment")
    return url.rstrip("/")


def clean_names(value: Iterable[str]) -> tuple[str, ...]:
    """Return the capabilities, each once, in the given order."""
    return tuple(dict.fromkeys(SETTINGS.names("capabilities", value)))


def options_from_env(environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the client's options as the ``OBLIVION_*`` variables of ``environ`` give them.

    Raises:
        ConfigurationError: a required variable is missing, or one cannot be read.
    """
    env = os.environ if environ is None else environ
    given = {name: env[name].strip() for name in _VARIABLES if env.get(name, "").strip()}
    missing = [name for name in _REQUIRED if name not in given]
    if missing:
        raise ConfigurationError(f"set the environment variable(s) {', '.join(missing)}")
    options = {_VARIABLES[name][0]: _VARIABLES[name][1](name, text) for name, text in given.items()}
    return {**options, "network": network_from_env(env)}


def _as_text(_name: str, text: str) -> str:
    return text


def _as_names(_name: str, text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _as_flag(name: str, text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise ConfigurationError(f"{name} must be true or false, not {text!r}")
    return text.lower() in _TRUE


def _as_number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(f"{name} must be a number of seconds, not {text!r}") from None


def _as_whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ConfigurationError(f"{name} must be an integer, not {text!r}") from None


_REQUIRED = ("OBLIVION_NEXUS_URL", "OBLIVION_CLIENT_ID", "OBLIVION_CLIENT_SECRET")

_VARIABLES: dict[str, tuple[str, Any]] = {
    "OBLIVION_NEXUS_URL": ("nexus_url", _as_text),
    "OBLIVION_CLIENT_ID": ("client_id", _as_text),
    "OBLIVION_CLIENT_SECRET": ("client_secret", _as_text),
    "OBLIVION_AUTO_RECONNECT": ("auto_reconnect", _as_flag),
    "OBLIVION_RECONNECT_DELAY": ("reconnect_delay", _as_number),
    "OBLIVION_CAPABILITIES": ("capabilities", _as_names),
    "OBLIVION_VERSION": ("version", _as_text),
    "OBLIVION_MAX_CONCURRENCY": ("max_concurrency", _as_whole),
    "OBLIVION_DRAIN_TIMEOUT": ("drain_timeout", _as_number),
}
