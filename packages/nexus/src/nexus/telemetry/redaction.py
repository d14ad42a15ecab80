"""Where secrets are taken out of log records: the last hands that a record passes through."""

from typing import Any

import structlog

from nexus.domain.redaction import HIDDEN, is_secret, without_secrets


def redact(_logger: object, _method: str, event: structlog.typing.EventDict) -> Any:
    """Return a record with stand-ins for secrets: by the names of its fields, and by their forms.

    It comes after tracebacks were made texts, so that they are looked through too.
    """
    return {name: HIDDEN if is_secret(name) else _shown(value) for name, value in event.items()}


def _shown(value: Any) -> Any:
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, str):
        return without_secrets(value)
    shown = repr(value)
    hidden = without_secrets(shown)
    return value if hidden == shown else hidden
