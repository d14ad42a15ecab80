"""Where the tools of this Nexus are put together: those it brings along, and those configured."""

import os

from nexus.domain.tool_settings import MissingVariable, Variables
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
    stocks = [_github(settings), _http(settings), _configured(settings)]
    return Stock(
        tools={name: placed for stock in stocks for name, placed in stock.tools.items()},
        secrets=frozenset().union(*(stock.secrets for stock in stocks)),
    )


def _github(settings: Settings) -> Stock:
    if settings.github_token is None:
        return Stock()
    from nexus.tools.builtins import GitHub  # noqa: PLC0415 - only who uses it loads it

    token = settings.github_token.get_secret_value()
    github = Placed(provider=GitHub(token, settings.github_api_url), tenants=_OURS)
    return Stock(tools={"github": github}, secrets=frozenset({token}))


def _http(settings: Settings) -> Stock:
    if not settings.http_hosts:
        return Stock()
    from nexus.tools.builtins import Http  # noqa: PLC0415 - only who uses it loads it

    variables = Variables(os.environ)
    try:
        hosts = {
            address: host.model_copy(update={"headers": variables.fill(host.headers)})
            for address, host in settings.http_hosts.items()
        }
    except MissingVariable as error:
        raise SettingsError(f"setting http_hosts: the variable {error} is not set") from error
    http = Placed(provider=Http(hosts), tenants=_OURS)
    return Stock(tools={"http": http}, secrets=frozenset(variables.secrets))


def _configured(settings: Settings) -> Stock:
    if not settings.tools:
        return Stock()
    from nexus.tools.configured import configured  # noqa: PLC0415 - takes a second to load

    try:
        return configured(settings.tools, os.environ)
    except MissingVariable as error:
        raise SettingsError(f"setting tools: the variable {error} is not set") from error
