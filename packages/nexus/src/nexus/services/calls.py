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
    tx.exclude("call", agent_id, call_id)  # a copy on another connection waits for this one
    stored: Answer | None = tx.scalar(_ANSWER, agent_id=agent_id, call_id=call_id)
    if stored is not None:
        return stored
    answer = act(tx)
    tx.insert(
        call_answers,
        {"agent_id": agent_id, "call_id": call_id, "answer": answer, "created_at": tx.now},
    )
    return answer
