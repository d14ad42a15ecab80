"""Where secrets are taken out of log records: the last hands that a record passes through."""

from typing import Any

import structlog

from nexus.domain.redaction import HIDDEN, KnownSecrets, is_secret, without_secrets

KNOWN = KnownSecrets()
"""What the tools of this process were given; logs are the process's, and so is this."""


def redact(_logger: object, _method: str, event: structlog.typing.EventDict) -> Any:
    """Return a record with stand-ins for secrets: by their names, forms and values.

    It comes after tracebacks were made texts, so that they are looked through too.
    """
    return {name: HIDDEN if is_secret(name) else _shown(value) for name, value in event.items()}


def _shown(value: Any) -> Any:
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, str):
        return _hidden(value)
    shown = repr(value)
    hidden = _hidden(shown)
    return value if hidden == shown else hidden


def _hidden(text: str) -> str:
    return KNOWN.hide(without_secrets(text))
