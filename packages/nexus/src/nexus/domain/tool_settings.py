"""Where it is described how an operator gives Nexus a tool: by an MCP server's command or URL."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from nexus.domain.secret_names import names_in, refuse_misspelled

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
"""What a tool is called."""

_REFERENCE = re.compile(r"\$\{(\w+)\}")


class ToolSettings(BaseModel):
    """A tool that this Nexus runs: an MCP server.

    Attributes:
        command: the program that speaks MCP on its standard input and output, with its arguments.
        url: else the address of one that speaks Streamable HTTP.
        env: what the program finds in its environment; of Nexus's own it gets what is harmless.
        headers: what is sent with each request to ``url``.
        cwd: the folder in which the program runs.
        tenants: the slugs of the organisations that may allow it to their agents.
        idempotent: patterns of actions that do no harm when they are done twice.

    In ``env`` and ``headers`` ``${NAME}`` stands for that variable of Nexus's own environment, and
    ``${secret:NAME}`` for a secret that Nexus keeps for the tool's organisation. What comes from
    there is taken out of whatever the tool returns.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: list[str] = Field(default_factory=list)
    url: str | None = None
    env: dict[str, str] = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)
    cwd: str | None = None
    tenants: list[str] = Field(default_factory=lambda: ["default"], min_length=1)
    idempotent: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "ToolSettings":
        if bool(self.command) == (self.url is not None):
            raise ValueError("needs either a command or a url")
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise ValueError("url must begin with http:// or https://")
        return self

    @model_validator(mode="after")
    def _has_secrets_of_one(self) -> "ToolSettings":
        texts = [*self.env.values(), *self.headers.values()]
        refuse_misspelled(texts)
        if names_in(texts) and len(self.tenants) != 1:
            raise ValueError("names a secret, so it must have one of tenants alone, whose it is")
        return self


class MissingVariable(Exception):
    """A tool's settings name a variable that is not there."""


class Variables:
    """Puts variables in the place of their names, and remembers their values as secrets."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.secrets: set[str] = set()

    def fill(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Return the texts with the variables' values.

        Raises:
            MissingVariable: one is not set.
        """
        return {name: _REFERENCE.sub(self._value, text) for name, text in texts.items()}

    def _value(self, found: re.Match[str]) -> str:
        value = self._environ.get(found[1], "")
        if not value:
            raise MissingVariable(found[1])
        self.secrets.add(value)
        return value
