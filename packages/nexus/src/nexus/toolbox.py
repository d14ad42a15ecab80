"""Where the tools that Nexus brings along are put together, as the settings say."""

from collections.abc import Mapping
from dataclasses import dataclass

from nexus.services import installation
from nexus.settings import Settings
from nexus.tools.shelf import Placed

_OURS = frozenset({installation.DEFAULT_TENANT})
"""The credentials of the settings are those of the one organisation that made them."""


@dataclass(frozen=True, kw_only=True)
class Toolbox:
    """Tools by their names, and the secrets that they were given."""

    tools: Mapping[str, Placed]
    secrets: frozenset[str]


def toolbox(settings: Settings) -> Toolbox:
    """Return the built-in tools that the settings give what they need."""
    tools: dict[str, Placed] = {}
    secrets: set[str] = set()
    if settings.github_token is not None:
        from nexus.tools.builtins import GitHub  # noqa: PLC0415 - only who uses it loads it

        token = settings.github_token.get_secret_value()
        secrets.add(token)
        tools["github"] = Placed(provider=GitHub(token, settings.github_api_url), tenants=_OURS)
    return Toolbox(tools=tools, secrets=frozenset(secrets))
