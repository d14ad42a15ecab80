"""Where registration tokens live: made and revoked by admins, and spent by agents that join."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Self

import sqlalchemy as sa
from pydantic import AwareDatetime, Field, model_validator

from nexus.domain.errors import Conflict, Invalid, NotFound, TokenRefused
from nexus.domain.principal import Principal
from nexus.domain.registration import Terms, TokenState
from nexus.services import activity, groups, views
from nexus.services.command import Command, Line, Ref
from nexus.services.resources import RegistrationToken
from nexus.store.ids import new_id
from nexus.store.schema import groups as all_groups
from nexus.store.schema import registration_tokens as tokens
from nexus.store.tx import Row, Tx
from oblivion.protocol import ErrorCode

LONGEST_LIFE = timedelta(days=3650)
_HOURS = LONGEST_LIFE / timedelta(hours=1)

_REFUSALS = {
    TokenState.EXPIRED: (ErrorCode.REGISTRATION_TOKEN_EXPIRED, "has expired"),
    TokenState.USED_UP: (ErrorCode.REGISTRATION_TOKEN_USED_UP, "is used up"),
    TokenState.REVOKED: (ErrorCode.REGISTRATION_TOKEN_REVOKED, "was revoked"),
}


class CreateToken(Command):
    """A new registration token; without a limit it is good for ever, or as often as one likes."""

    group_id: Ref
    name: Line | None = None
    expires_in_hours: Annotated[float, Field(gt=0, le=_HOURS)] | None = None
    expires_at: AwareDatetime | None = None
    max_uses: Annotated[int, Field(ge=1, le=1_000_000)] | None = None

    @model_validator(mode="after")
    def _say_the_end_once(self) -> Self:
        if self.expires_in_hours is not None and self.expires_at is not None:
            raise ValueError("give expiresInHours or expiresAt, not both")
        return self

    def end(self, now: datetime) -> datetime | None:
        """Return when the token expires, if ever.

        Raises:
            Invalid: that is past, or more than ten years away.
        """
        if self.expires_in_hours is not None:
            return now + timedelta(hours=self.expires_in_hours)
        if self.expires_at is not None and not now < self.expires_at <= now + LONGEST_LIFE:
            wrong = "must lie in the future, and within ten years"
            raise Invalid(f"expiresAt {wrong}", [("/expiresAt", wrong)])
        return self.expires_at


def create(tx: Tx, caller: Principal, wish: CreateToken, token_hash: str) -> RegistrationToken:
    """Make a token for one of the caller's open groups; its text is known by its hash alone.

    Raises:
        NotFound: there is no such group.
        Conflict: the group is archived.
        Invalid: it would never be good.
    """
    group = groups.row(tx, caller.tenant_id, wish.group_id)
    if group["archived_at"] is not None:
        raise Conflict(f"the group {group['slug']} is archived; choose an open one")
    end = wish.end(views.moment(tx.now))
    token_id = new_id()
    tx.insert(
        tokens,
        {
            "id": token_id,
            "tenant_id": caller.tenant_id,
            "group_id": group["id"],
            "name": wish.name,
            "token_hash": token_hash,
            "max_uses": wish.max_uses,
            "expires_at": None if end is None else views.milliseconds(end),
            "created_by": caller.client_id,
            "created_at": tx.now,
        },
    )
    _record(tx, caller, "token_created", token_id, name=wish.name, group=group["slug"])
    return view(row(tx, caller.tenant_id, token_id), tx.now)


def list_all(tx: Tx, tenant_id: str, *, limit: int, cursor: str | None) -> Sequence[Row]:
    """Return the tenant's tokens, oldest first; one more than ``limit`` when there are more."""
    query = _select().where(tokens.c.tenant_id == tenant_id)
    if cursor is not None:
        query = query.where(tokens.c.id > cursor)
    return tx.rows(query.order_by(tokens.c.id).limit(limit + 1))


def revoke(tx: Tx, caller: Principal, token_id: str) -> None:
    """Let nobody else in with a token; those who asked already still wait for their decision.

    Raises:
        NotFound: there is no such token.
    """
    token = row(tx, caller.tenant_id, token_id)
    mine = (tokens.c.id == token["id"]) & tokens.c.revoked_at.is_(None)
    if tx.change(tokens.update().where(mine).values(revoked_at=tx.now)):
        _record(tx, caller, "token_revoked", token["id"], name=token["name"])


def _record(tx: Tx, caller: Principal, type_: str, token_id: str, **more: Any) -> None:
    activity.record(tx, caller.tenant_id, type_, token_id=token_id, by=caller.client_id, **more)


def row(tx: Tx, tenant_id: str, token_id: str) -> Row:
    """Return one of the tenant's tokens.

    Raises:
        NotFound: there is none.
    """
    token = tx.one(_select().where(tokens.c.tenant_id == tenant_id, tokens.c.id == token_id))
    if token is None:
        raise NotFound(f"there is no registration token {token_id}")
    return token


def _select() -> sa.Select[tuple[object, ...]]:
    return sa.select(
        tokens,
        all_groups.c.name.label("group_name"),
        all_groups.c.archived_at.label("group_archived_at"),
    ).join_from(tokens, all_groups)


def view(token: Row, now: int) -> RegistrationToken:
    """Return a token as admins see it; its text is gone."""
    return RegistrationToken(
        id=token["id"],
        name=token["name"],
        group_id=token["group_id"],
        group_name=token["group_name"],
        state=_terms(token).state(now),
        uses=token["uses"],
        max_uses=token["max_uses"],
        expires_at=views.moment_or_none(token["expires_at"]),
        revoked_at=views.moment_or_none(token["revoked_at"]),
        last_used_at=views.moment_or_none(token["last_used_at"]),
        created_by=token["created_by"],
        created_at=views.moment(token["created_at"]),
    )


def _terms(token: Row) -> Terms:
    return Terms(
        uses=token["uses"],
        max_uses=token["max_uses"],
        expires_at=token["expires_at"],
        revoked_at=token["revoked_at"],
    )


def known(tx: Tx, token_hash: str) -> Row:
    """Return the token that was shown, whatever its state.

    Raises:
        TokenRefused: there is none.
    """
    token = tx.one(_select().where(tokens.c.token_hash == token_hash))
    if token is None:
        raise TokenRefused(
            ErrorCode.REGISTRATION_TOKEN_UNKNOWN,
            "this is no registration token of this Nexus; ask an admin for one",
        )
    return token


def require_active(tx: Tx, token: Row) -> None:
    """Refuse a token that lets nobody in now; only who shows it is told why.

    Raises:
        TokenRefused: it is expired, used up or revoked, or its group is archived.
    """
    state = _terms(token).state(tx.now)
    if state is TokenState.ACTIVE and token["group_archived_at"] is not None:
        state = TokenState.REVOKED
    if state is not TokenState.ACTIVE:
        raise _refusal(state)


def _refusal(state: TokenState) -> TokenRefused:
    code, why = _REFUSALS[state]
    return TokenRefused(code, f"this registration token {why}; ask an admin for another one")


def spend(tx: Tx, token: Row) -> None:
    """Count one use, and no more of them than the token allows, however many come at once.

    Raises:
        TokenRefused: it lets nobody in (any more).
    """
    require_active(tx, token)
    left = tokens.c.max_uses.is_(None) | (tokens.c.uses < tokens.c.max_uses)
    good = (tokens.c.id == token["id"]) & tokens.c.revoked_at.is_(None) & left
    counted = {"uses": tokens.c.uses + 1, "last_used_at": tx.now}
    if not tx.change(tokens.update().where(good).values(counted)):
        require_active(tx, row(tx, token["tenant_id"], token["id"]))
        raise _refusal(TokenState.USED_UP)
