"""Where tables that grow with traffic get their bound."""

import sqlalchemy as sa

from nexus.domain.deliveries import DeliveryStatus
from nexus.domain.limits import Limits
from nexus.domain.noise import HOUR_MS
from nexus.services import gaps, tool_offers
from nexus.store.schema import (
    activity,
    agent_events,
    call_answers,
    deliveries,
    delivery_lanes,
    idempotency_keys,
    revoked_tokens,
    slack_approvals,
    slack_said,
    writers,
)
from nexus.store.tool_tables import tool_calls
from nexus.store.tx import Tx

_DAY_MS = 24 * 3600 * 1000
KEEP_EVENTS_MS = 7 * _DAY_MS
KEEP_ANSWERS_MS = _DAY_MS
KEEP_ACTIVITY_MS = 30 * _DAY_MS
KEEP_TOOL_CALLS_MS = 7 * _DAY_MS
KEEP_MADE_MS = 7 * _DAY_MS
KEEP_FAILED_MS = 30 * _DAY_MS


def prune(tx: Tx, limits: Limits | None = None) -> int:
    """Drop what is past its time and return how many rows went."""
    gone = gaps.drop_unheard(tx, limits or Limits()) + tool_offers.forget_stale(tx)
    return gone + sum(
        tx.change(statement)
        for statement in (
            agent_events.delete().where(agent_events.c.acked_at < tx.now - KEEP_EVENTS_MS),
            call_answers.delete().where(call_answers.c.created_at < tx.now - KEEP_ANSWERS_MS),
            idempotency_keys.delete().where(
                idempotency_keys.c.created_at < tx.now - KEEP_ANSWERS_MS
            ),
            activity.delete().where(activity.c.at < tx.now - KEEP_ACTIVITY_MS),
            _ended(tx, DeliveryStatus.DONE, KEEP_MADE_MS),
            _ended(tx, DeliveryStatus.FAILED, KEEP_FAILED_MS),
            delivery_lanes.delete().where(
                delivery_lanes.c.due_at.is_(None), delivery_lanes.c.open_at < tx.now - _DAY_MS
            ),
            tool_calls.delete().where(tool_calls.c.finished_at < tx.now - KEEP_TOOL_CALLS_MS),
            slack_approvals.delete().where(slack_approvals.c.created_at < tx.now - KEEP_FAILED_MS),
            slack_said.delete().where(slack_said.c.at < tx.now - HOUR_MS),
            revoked_tokens.delete().where(revoked_tokens.c.expires_at < tx.now),
            writers.delete().where(writers.c.seen_at < tx.now - KEEP_ANSWERS_MS),
        )
    )


def _ended(tx: Tx, status: DeliveryStatus, keep_ms: int) -> sa.Delete:
    past = deliveries.c.ended_at < tx.now - keep_ms
    return deliveries.delete().where(deliveries.c.status == status, past)
