"""Where what an operator may set lives: by environment, by option, each with its default."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from nexus.domain.limits import GuessLimits, Limits


class SettingsError(Exception):
    """A setting is wrong; the message names it and says what it takes."""


class Settings(BaseSettings):
    """The settings of one Nexus; in the environment ``NEXUS_`` and the name in capitals."""

    model_config = SettingsConfigDict(env_prefix="NEXUS_", extra="ignore", frozen=True)

    host: str = "127.0.0.1"
    port: Annotated[
        int, Field(ge=0, le=65535, validation_alias=AliasChoices("port", "NEXUS_PORT", "PORT"))
    ] = 3000
    """0 takes a free port."""
    data_dir: Path = Path("nexus-data")
    database_url: Annotated[
        SecretStr | None,
        Field(validation_alias=AliasChoices("database_url", "NEXUS_DATABASE_URL", "DATABASE_URL")),
    ] = None
    """A PostgreSQL that nodes share; without it SQLite in the data folder."""
    admin_client_id: str = "admin"
    admin_client_secret: SecretStr | None = None
    """Without it a secret is made once and kept in ``<data-dir>/admin-credentials.json``."""
    heartbeat_seconds: float = Field(default=30, gt=0, le=3600)
    lease_seconds: float = Field(default=120, gt=0, le=86400)
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Field(validation_alias=AliasChoices("log_level", "NEXUS_LOG_LEVEL", "LOG_LEVEL")),
    ] = "info"

    guesses_per_minute: int = Field(default=10, ge=1, le=10_000)
    """Wrong secrets that are taken for one client from one address."""
    guesses_per_address: int = Field(default=100, ge=1, le=100_000)
    guesses_per_client: int = Field(default=100, ge=1, le=100_000)
    registrations_per_minute: int = Field(default=60, ge=1, le=100_000)
    """Refused requests to register that are taken from one address."""
    trusted_proxies: str = "127.0.0.1, ::1"
    """Addresses or networks whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed."""

    @field_validator("database_url")
    @classmethod
    def _empty_is_none(cls, url: SecretStr | None) -> SecretStr | None:
        return url if url is not None and url.get_secret_value() else None

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


def load_settings(**options: Any) -> Settings:
    """Return the settings: options that are not None win over the environment.

    Raises:
        SettingsError: a value is wrong.
    """
    try:
        return Settings(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in problem["loc"])
        raise SettingsError(f"setting {name}: {problem['msg']}") from None
