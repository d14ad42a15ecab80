"""Where a POST that was sent twice is answered once: by the ``Idempotency-Key`` of its caller."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nexus.domain.errors import NexusError
from nexus.store.schema import idempotency_keys
from nexus.store.statement import Statement
from nexus.store.tx import Row, Tx

SHOWN_ONCE = frozenset({"clientSecret", "token"})
"""Fields of an answer that are never stored, so a repeated answer comes without them."""


_KEYED = Statement(
    idempotency_keys.select().where(
        idempotency_keys.c.client_id == sa.bindparam("client_id"),
        idempotency_keys.c.key == sa.bindparam("key"),
    )
)


class KeyReused(NexusError):
    """The key came before, with another request."""

    code = "idempotency_key_reused"
    status = 422


class StillRunning(NexusError):
    """The first request with this key has not ended."""

    code = "idempotency_in_progress"
    status = 409
    retryable = True


@dataclass(frozen=True, kw_only=True)
class KeyedRequest:
    """A request that its caller named; ``fingerprint`` is the same for the same request."""

    client_id: str
    key: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a request was answered; ``repeated`` when that was an earlier one."""

    status: int
    body: dict[str, Any]
    repeated: bool = False


def came_before(tx: Tx, request: KeyedRequest | None) -> bool:
    """Say whether a request of this key came before."""
    if request is None:
        return False
    return tx.one(_KEYED, client_id=request.client_id, key=request.key) is not None


def once(tx: Tx, request: KeyedRequest | None, act: Callable[[], Answer]) -> Answer:
    """Return what ``act`` answers, or what it answered when this request came before.

    The answer is stored in the transaction of the effect: either both are there or neither is.
    A refusal has no effect, so it is not stored: the request is judged anew when it comes again.

    Raises:
        KeyReused: another request had this key.
        StillRunning: the first one has not ended.
    """
    if request is None:
        return act()
    named = {"client_id": request.client_id, "key": request.key}
    tx.exclude("request", *named.values())  # a copy on another connection waits for this one
    stored = tx.one(_KEYED, **named)
    if stored is not None:
        return _again(stored, request)
    answer = act()
    kept = {name: value for name, value in answer.body.items() if name not in SHOWN_ONCE}
    tx.insert(
        idempotency_keys,
        {
            **named,
            "fingerprint": request.fingerprint,
            "status": answer.status,
            "answer": kept,
            "created_at": tx.now,
        },
    )
    return answer


def _again(stored: Row, request: KeyedRequest) -> Answer:
    if stored["fingerprint"] != request.fingerprint:
        raise KeyReused(
            "this Idempotency-Key was used for another request; use a new key for each command"
        )
    if stored["status"] is None:
        raise StillRunning("the first request with this Idempotency-Key has not ended; ask again")
    return Answer(status=stored["status"], body=stored["answer"], repeated=True)
