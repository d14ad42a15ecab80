"""Where PostgreSQL's errors are read: who was faster, what is away, what may be tried again."""

import psycopg
import sqlalchemy as sa

Failure = sa.exc.DBAPIError | psycopg.Error
FAILURES = (sa.exc.DBAPIError, psycopg.Error)

_UNIQUE = "23505"
_COLLISIONS = frozenset({"40001", "40P01", "55P03", _UNIQUE})
"""Serialization, deadlock, a lock not had in time, a row that somebody else made just now."""
_TIMED_OUT = "57014"
_AWAY = ("08", "25006", "53", "57", "58")
"""Connection lost, a standby, out of resources, shutting down or timed out, the disk failing."""


def _cause(error: Failure) -> BaseException | None:
    return error.orig if isinstance(error, sa.exc.DBAPIError) else error


def _state(error: Failure) -> str:
    return getattr(_cause(error), "sqlstate", None) or ""


def reason(error: Failure) -> str:
    """Return what the server or the driver says, in one line."""
    return " ".join(str(_cause(error)).split())


def is_collision(error: Failure) -> bool:
    """Say whether another transaction was in the way: the same command may succeed at once."""
    return _state(error) in _COLLISIONS


def is_twin(error: Failure) -> bool:
    """Say whether another transaction made the same thing."""
    return _state(error) == _UNIQUE


def is_away(error: Failure) -> bool:
    """Say whether the server cannot serve now, or the connection to it is gone."""
    lost = not _state(error) and isinstance(_cause(error), psycopg.OperationalError)
    return lost or _state(error).startswith(_AWAY)


def is_lost(error: Failure) -> bool:
    """Say whether the server may be gone without having told how the transaction ended."""
    return is_away(error) and not _state(error).startswith(("25", "53", "58"))


def is_too_slow(error: Failure) -> bool:
    """Say whether the server gave up on a statement that took too long."""
    return _state(error) == _TIMED_OUT
