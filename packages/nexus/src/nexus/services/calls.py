"""Where a call that was sent twice is answered once: by the id of its envelope."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from nexus.store.schema import call_answers
from nexus.store.statement import Statement
from nexus.store.tx import Tx

Answer = dict[str, Any]

_ANSWER = Statement(
    sa.select(call_answers.c.answer).where(
        call_answers.c.agent_id == sa.bindparam("agent_id"),
        call_answers.c.call_id == sa.bindparam("call_id"),
    )
)


def once(tx: Tx, agent_id: str, call_id: str | None, act: Callable[[Tx], Answer]) -> Answer:
    """Return what ``act`` answers, or what it answered when this call came before.

    The answer is stored in the transaction of the effect: either both are there or neither is.
    """
    if call_id is None:
        return act(tx)
    named = {"agent_id": agent_id, "call_id": call_id}
    # First, so that a copy on another connection waits for this one, and has no effect of its own.
    if not tx.insert_absent(call_answers, {**named, "answer": {}, "created_at": tx.now}):
        stored: Answer = tx.scalar(_ANSWER, **named)
        return stored
    answer = act(tx)
    tx.update(call_answers, {"answer": answer}, **named)
    return answer
