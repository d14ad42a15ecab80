"""Where secrets are put in the place of their names: at the moment of use, and not before."""

from collections.abc import Awaitable, Callable, Mapping

from nexus.domain.errors import NexusError
from nexus.domain.redaction import KnownSecrets
from nexus.domain.secret_names import filled, names_in
from nexus.services import vault
from nexus.services.platform import Platform
from nexus.tools.provider import ToolError
from oblivion.protocol import ToolCode

Fill = Callable[[Mapping[str, str]], Awaitable[dict[str, str]]]
"""Returns texts with secrets in the place of their names.

Raises:
    ToolError: one is not there, or cannot be opened; the message says what to do.
"""


async def as_they_are(texts: Mapping[str, str]) -> dict[str, str]:
    """Return texts in which no secret is named."""
    return dict(texts)


class SecretsOf:
    """Fills in the secrets of one tenant; what was filled in becomes ``known``, to be hidden."""

    def __init__(self, platform: Platform, tenant: str, known: KnownSecrets) -> None:
        self._platform = platform
        self._tenant = tenant
        self._known = known

    async def __call__(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Return the texts, filled; see :data:`Fill`."""
        names = names_in(texts.values())
        if not names:
            return dict(texts)
        platform = self._platform
        try:
            values = await platform.store.read(
                vault.values, platform.sealing, self._tenant, sorted(names)
            )
        except NexusError as error:
            raise ToolError(error.message, ToolCode.TOOL_UNAVAILABLE) from error
        self._known.add(*values.values())
        return {key: filled(text, values) for key, text in texts.items()}
