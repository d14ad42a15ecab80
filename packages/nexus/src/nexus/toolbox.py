"""Where the tools of this Nexus are put together: those it brings along, and those configured."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from nexus.domain.redaction import KnownSecrets
from nexus.domain.secret_names import names_in
from nexus.domain.tool_settings import MissingVariable, Variables
from nexus.services import installation
from nexus.services.platform import Platform
from nexus.settings import Settings, SettingsError
from nexus.tools.filling import SecretsOf
from nexus.tools.provider import Provider
from nexus.tools.shelf import Placed

_OURS = installation.DEFAULT_TENANT
"""The credentials of the settings are those of the one organisation that made them."""


def toolbox(settings: Settings, platform: Platform, known: KnownSecrets) -> Mapping[str, Placed]:
    """Return the tools that the settings describe; a configured one hides a built-in of its name.

    What they are given of secrets becomes ``known``, at once or when it is used.

    Raises:
        SettingsError: a tool's settings name a variable that is not set.
    """
    box = _Toolbox(settings, platform, known)
    return {**box.github(), **box.http(), **box.slack(), **box.configured()}


@dataclass(frozen=True)
class _Toolbox:
    """What tools are made of; each is loaded by whoever uses it alone."""

    settings: Settings
    platform: Platform
    known: KnownSecrets

    def _secrets_of(self, tenant: str) -> SecretsOf:
        return SecretsOf(self.platform, tenant, self.known)

    def github(self) -> Mapping[str, Placed]:
        settings = self.settings
        if settings.github_token is None:
            return {}
        from nexus.tools.builtins.github import GitHub  # noqa: PLC0415 - see above

        token = settings.github_token.get_secret_value()
        if not names_in([token]):
            self.known.add(token)
        github = GitHub(token, settings.github_api_url, self._secrets_of(_OURS))
        return {"github": _ours(github)}

    def http(self) -> Mapping[str, Placed]:
        if not self.settings.http_hosts:
            return {}
        from nexus.tools.builtins.http import Http  # noqa: PLC0415 - see above

        variables = Variables(os.environ)
        try:
            hosts = {
                address: host.model_copy(update={"headers": variables.fill(host.headers)})
                for address, host in self.settings.http_hosts.items()
            }
        except MissingVariable as error:
            raise SettingsError(f"setting http_hosts: the variable {error} is not set") from error
        self.known.add(*variables.secrets)
        return {"http": _ours(Http(hosts, fill=self._secrets_of(_OURS)))}

    def slack(self) -> Mapping[str, Placed]:
        settings = self.settings
        if settings.slack_bot_token is None or not settings.slack_tool_channels:
            return {}
        from nexus.tools.builtins.slack import SlackTool  # noqa: PLC0415 - see above

        token = settings.slack_bot_token.get_secret_value()
        self.known.add(token)
        tool = SlackTool(token, settings.slack_api_url, settings.slack_tool_channels)
        return {"slack": _ours(tool)}

    def configured(self) -> Mapping[str, Placed]:
        if not self.settings.tools:
            return {}
        from nexus.tools.configured import configured  # noqa: PLC0415 - takes a second to load

        variables = Variables(os.environ)
        try:
            placed = configured(self.settings.tools, variables, self._secrets_of)
        except MissingVariable as error:
            raise SettingsError(f"setting tools: the variable {error} is not set") from error
        self.known.add(*variables.secrets)
        return placed


def _ours(provider: Provider) -> Placed:
    return Placed(provider=provider, tenants=frozenset({_OURS}))
