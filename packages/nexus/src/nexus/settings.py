"""Where what an operator may set lives: by option, environment or file, each with its default."""

import functools
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from pydantic_settings.sources import InitSettingsSource, PydanticBaseSettingsSource

from nexus import settings_file
from nexus.domain import slack_tokens
from nexus.domain.http_hosts import HostAddress, HttpHost, check_host
from nexus.domain.limits import GuessLimits, Limits
from nexus.domain.secret_names import refuse_misspelled
from nexus.domain.strength import SHORTEST_KEY, SHORTEST_SECRET, weakness
from nexus.domain.tool_policy import Rule
from nexus.domain.tool_settings import Name, ToolSettings
from nexus.settings_file import SettingsError

__all__ = ["Settings", "SettingsError", "load_settings"]

SECRETS_VARIABLE = "NEXUS_SECRETS_DIR"


def _also(name: str, *others: str) -> Any:
    """Return a field that teams may also set by a name that they have already."""
    return Field(validation_alias=AliasChoices(name, f"NEXUS_{name.upper()}", *others))


class Settings(BaseSettings):
    """The settings of one Nexus; in the environment ``NEXUS_`` and the name in capitals."""

    model_config = SettingsConfigDict(env_prefix="NEXUS_", extra="ignore", frozen=True)

    dev: bool = False
    """Whether this is a developer's own, where weak keys do no harm."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535), _also("port", "PORT")] = 3000
    """0 takes a free port."""
    data_dir: Path = Path("nexus-data")
    database_url: Annotated[SecretStr | None, _also("database_url", "DATABASE_URL")] = None
    """A PostgreSQL that nodes share; without it SQLite in the data folder."""
    jwt_secret: Annotated[SecretStr | None, _also("jwt_secret", "JWT_SECRET")] = None
    """Signs access tokens in the place of ``signing.key``."""
    jwt_secret_previous: SecretStr | None = None
    """What signed them before, whose tokens are good until they expire."""
    secrets_key: SecretStr | None = None
    """Seals the secrets of tools in the place of ``secrets.key``."""
    secrets_key_previous: SecretStr | None = None
    """What sealed them before; ``nexus secrets rotate`` seals them anew."""
    admin_client_id: str = "admin"
    admin_client_secret: SecretStr | None = None
    """Without it a secret is made once and kept in ``<data-dir>/admin-credentials.json``."""
    heartbeat_seconds: float = Field(default=30, gt=0, le=3600)
    lease_seconds: float = Field(default=120, gt=0, le=86400)
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """The origins of pages elsewhere that may call the API and connect agents."""
    hsts_seconds: int = Field(default=0, ge=0, le=2 * 365 * 86400)
    """For how long browsers shall come over TLS alone; 0 says nothing about it."""
    public_url: str | None = None
    """Where people's browsers reach this Nexus, for links in what it sends."""
    slack_bot_token: Annotated[SecretStr | None, _also("slack_bot_token", "SLACK_BOT_TOKEN")] = None
    """Connects this Nexus with a workspace."""
    slack_signing_secret: Annotated[
        SecretStr | None, _also("slack_signing_secret", "SLACK_SIGNING_SECRET")
    ] = None
    """Proves that what comes to ``/webhooks/slack`` comes from Slack."""
    slack_app_token: Annotated[SecretStr | None, _also("slack_app_token", "SLACK_APP_TOKEN")] = None
    """Has events come in over a connection that Nexus opens (Socket Mode)."""
    slack_api_url: Annotated[str, _also("slack_api_url", "SLACK_API_URL")] = (
        "https://slack.com/api/"
    )
    slack_shared_channels: bool = False
    """Whether channels that are shared with other organisations count."""
    slack_operators: Annotated[tuple[str, ...], NoDecode] = ()
    """Who may press buttons in Slack, by e-mail address or user id; all full members if empty."""
    slack_tool_channels: Annotated[tuple[str, ...], NoDecode] = ()
    """Makes ``slack`` a tool: the ids of the channels that agents may be allowed to post in."""
    sign_in_link: bool | None = None
    """Whether a start prints a link that signs an admin in, once; unset: in a terminal."""
    github_token: Annotated[SecretStr | None, _also("github_token", "GITHUB_TOKEN")] = None
    """Makes ``github`` a tool; what agents do with it, they do in the name of this token's user."""
    github_api_url: Annotated[str, _also("github_api_url", "GITHUB_API_URL")] = (
        "https://api.github.com/"
    )
    http_hosts: dict[HostAddress, HttpHost] | None = None
    """Makes ``http`` a tool: the hosts that agents may be allowed to send requests to."""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], _also("log_level", "LOG_LEVEL")
    ] = "info"
    guesses_per_minute: int = Field(default=10, ge=1, le=10_000)
    """Wrong secrets that are taken for one client from one address."""
    guesses_per_address: int = Field(default=100, ge=1, le=100_000)
    guesses_per_client: int = Field(default=100, ge=1, le=100_000)
    registrations_per_minute: int = Field(default=60, ge=1, le=100_000)
    """Refused requests to register that are taken from one address."""
    trusted_proxies: str = "127.0.0.1, ::1"
    """Addresses or networks whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed."""
    tools: dict[Name, ToolSettings] | None = None
    """The tools that this Nexus runs for agents, by their names."""
    tool_rules: tuple[Rule, ...] = ()
    """Who may have which tools do what; the rules that admins add come after these."""

    @field_validator(
        *("database_url", "jwt_secret", "jwt_secret_previous", "admin_client_secret"),
        *("secrets_key", "secrets_key_previous"),
        *("slack_bot_token", "slack_signing_secret", "slack_app_token", "github_token"),
    )
    @classmethod
    def _empty_is_none(cls, secret: SecretStr | None) -> SecretStr | None:
        return secret if secret is not None and secret.get_secret_value() else None

    @field_validator("github_token")
    @classmethod
    def _names_secrets_rightly(cls, token: SecretStr | None) -> SecretStr | None:
        refuse_misspelled([] if token is None else [token.get_secret_value()])
        return token

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_lower_case(cls, level: Any) -> Any:
        return level.lower() if isinstance(level, str) else level

    @field_validator("cors_origins", "slack_operators", "slack_tool_channels", mode="before")
    @classmethod
    def _separated_by_commas(cls, names: Any) -> Any:
        return names.replace(",", " ").split() if isinstance(names, str) else names

    @field_validator("slack_tool_channels")
    @classmethod
    def _are_channel_ids(cls, channels: tuple[str, ...]) -> tuple[str, ...]:
        for channel in channels:
            if re.fullmatch(r"[CG][A-Z0-9]{2,30}", channel) is None:
                raise ValueError(
                    f"{channel!r} is no id of a channel, such as C0123456789; Slack shows it at "
                    "the end of the channel's details"
                )
        return channels

    @field_validator("public_url", "slack_api_url", "github_api_url")
    @classmethod
    def _is_address(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "https://none")
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query:
            raise ValueError("is no address; write it as https://nexus.example.com")
        return url if url is None else f"{url.rstrip('/')}/"

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            parts = urlsplit(origin)
            if f"{parts.scheme}://{parts.netloc}" != origin or not parts.netloc or "*" in origin:
                raise ValueError(f"{origin!r} is no origin; write it as https://app.example.com")
        return origins

    @field_validator("http_hosts")
    @classmethod
    def _are_hosts(cls, hosts: dict[str, HttpHost] | None) -> dict[str, HttpHost] | None:
        for address, host in (hosts or {}).items():
            check_host(address, host)
        return hosts

    @property
    def signing_secrets(self) -> list[str]:
        """The secrets that stand in for the file of signing keys, the newest first."""
        return _chosen(self.jwt_secret, self.jwt_secret_previous)

    @property
    def sealing_secrets(self) -> list[str]:
        """The secrets that stand in for the file of sealing keys, the newest first."""
        return _chosen(self.secrets_key, self.secrets_key_previous)

    def weaknesses(self) -> dict[str, str]:
        """Return what is weak about the secrets that were chosen, by the settings' names."""
        found = {
            "jwt_secret": _weakness(self.jwt_secret, SHORTEST_KEY),
            "jwt_secret_previous": _weakness(self.jwt_secret_previous, SHORTEST_KEY),
            "secrets_key": _weakness(self.secrets_key, SHORTEST_KEY),
            "secrets_key_previous": _weakness(self.secrets_key_previous, SHORTEST_KEY),
            "admin_client_secret": _weakness(self.admin_client_secret, SHORTEST_SECRET),
        }
        return {name: why for name, why in found.items() if why is not None}

    def refuse_weak_secrets(self) -> None:
        """Refuse to work with secrets that would be guessed, unless this is a developer's own.

        Raises:
            SettingsError: one is weak; the message says which, and how to make a good one.
        """
        weak = {} if self.dev else self.weaknesses()
        for name, why in weak.items():
            raise SettingsError(f"setting {name} {why}; {MEND_SECRET}")

    def refuse_misplaced_tokens(self) -> None:
        """Refuse a token of Slack's that is of another kind than its setting is for.

        Raises:
            SettingsError: the message says which, and where to find the right one.
        """
        for name, token in (
            ("slack_bot_token", self.slack_bot_token),
            ("slack_app_token", self.slack_app_token),
        ):
            value = None if token is None else token.get_secret_value()
            wrong = slack_tokens.mistake(name.upper(), value)
            if wrong is not None:
                raise SettingsError(f"setting {name} {wrong}; {slack_tokens.WHERE[name.upper()]}")

    @property
    def limits(self) -> Limits:
        """The times that the parts agree on."""
        return Limits(
            heartbeat_interval_ms=int(self.heartbeat_seconds * 1000),
            lease_ms=int(self.lease_seconds * 1000),
        )

    @property
    def guess_limits(self) -> GuessLimits:
        """How much may go wrong at the doors that take secrets."""
        return GuessLimits(
            at_address=self.guesses_per_minute,
            of_address=self.guesses_per_address,
            of_client=self.guesses_per_client,
            registrations=self.registrations_per_minute,
        )

    @property
    def database_path(self) -> Path:
        """Where the embedded database lies."""
        return self.data_dir / "nexus.db"

    @property
    def database(self) -> str | Path:
        """The address of the database, or the path of the embedded one; may hold a password."""
        if self.database_url is None:
            return self.database_path
        return self.database_url.get_secret_value()


MEND_SECRET = "`openssl rand -hex 32` makes a good one, and --dev takes any on your own machine"


def _chosen(newest: SecretStr | None, previous: SecretStr | None) -> list[str]:
    """Return secrets as texts; one from before counts only beside a newer one."""
    chosen = () if newest is None else (newest, previous)
    return [secret.get_secret_value() for secret in chosen if secret is not None]


def _weakness(secret: SecretStr | None, shortest: int) -> str | None:
    return None if secret is None else weakness(secret.get_secret_value(), shortest=shortest)


def load_settings(*, config: Path | None = None, **options: Any) -> Settings:
    """Return the settings: options that are not None, then the environment, then the file.

    Raises:
        SettingsError: a value is wrong, or the file sets what does not exist.
    """
    path = settings_file.find(config)
    values = {} if path is None else settings_file.read(path, Settings.model_fields)
    given = {name: value for name, value in options.items() if value is not None}
    try:
        known = _with_file(values, _secrets_dir()) if values else _without_file(_secrets_dir())
        return known(**given)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in problem["loc"])
        said = problem["msg"].removeprefix("Value error, ")
        raise SettingsError(f"setting {name}: {said}") from None


def _secrets_dir() -> str | None:
    """Return the folder with a file for each secret, as container platforms provide it."""
    named = os.environ.get(SECRETS_VARIABLE) or None
    if named is not None and not Path(named).is_dir():
        raise SettingsError(f"{SECRETS_VARIABLE}: there is no folder {named}")
    return named


@functools.cache
def _without_file(secrets: str | None) -> type[Settings]:
    """Return the same class each time: to make one takes longer than to read all settings."""
    return _with_file({}, secrets)


def _with_file(values: dict[str, Any], secrets: str | None) -> type[Settings]:
    """Return the settings with a file's values where nothing else says anything."""

    class Loaded(Settings):
        model_config = SettingsConfigDict(secrets_dir=secrets)

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            *_: PydanticBaseSettingsSource,
            **named: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            order = ("init_settings", "env_settings", "file_secret_settings")
            return (*(named[name] for name in order), InitSettingsSource(settings_cls, values))

    return Loaded
