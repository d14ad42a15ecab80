"""Where the tools of this Nexus are put together: those it brings along, and those configured."""

import os

from nexus.domain.tool_settings import MissingVariable
from nexus.services import installation
from nexus.settings import Settings, SettingsError
from nexus.tools.shelf import Placed, Stock

_OURS = frozenset({installation.DEFAULT_TENANT})
"""The credentials of the settings are those of the one organisation that made them."""


def toolbox(settings: Settings) -> Stock:
    """Return the tools that the settings describe; a configured one hides a built-in of its name.

    Raises:
        SettingsError: a tool's settings name a variable that is not set.
    """
    own, configured = _built_in(settings), _configured(settings)
    return Stock(tools={**own.tools, **configured.tools}, secrets=own.secrets | configured.secrets)


def _built_in(settings: Settings) -> Stock:
    """Return the built-in tools that the settings give what they need."""
    if settings.github_token is None:
        return Stock()
    from nexus.tools.builtins import GitHub  # noqa: PLC0415 - only who uses it loads it

    token = settings.github_token.get_secret_value()
    github = Placed(provider=GitHub(token, settings.github_api_url), tenants=_OURS)
    return Stock(tools={"github": github}, secrets=frozenset({token}))


def _configured(settings: Settings) -> Stock:
    if not settings.tools:
        return Stock()
    from nexus.tools.configured import configured  # noqa: PLC0415 - takes a second to load

    try:
        return configured(settings.tools, os.environ)
    except MissingVariable as error:
        raise SettingsError(f"setting tools: the variable {error} is not set") from error
