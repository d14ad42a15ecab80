"""Where registration tokens are made, seen and revoked: with them agents ask to join a group."""

from starlette.responses import Response

from nexus.domain.principal import Principal
from nexus.observer.agent_pages import open_groups
from nexus.observer.visit import Visit
from nexus.services import registration_tokens as tokens
from nexus.services.registration_tokens import CreateToken
from nexus.services.resources import Group, RegistrationToken
from nexus.services.secrets import hash_registration_token, make_registration_token
from nexus.store.tx import Tx

_ROWS = 50


async def page(visit: Visit) -> Response:
    """List the tokens, without what was shown once, and offer to make one."""
    cursor = visit.asked.get("cursor")

    def find(tx: Tx, caller: Principal) -> tuple[list[RegistrationToken], list[Group]]:
        rows = tokens.list_all(tx, caller.tenant_id, limit=_ROWS, cursor=cursor)
        return [tokens.view(row, tx.now) for row in rows], open_groups(tx, caller)

    found, choices = await visit.read(find)
    following = found[_ROWS - 1].id if len(found) > _ROWS else None
    return visit.page("tokens.html", tokens=found[:_ROWS], groups=choices, following=following)


async def create_registration_token(visit: Visit) -> Response:
    """Make a token, once however often its form is sent, and show it this one time."""
    wish = CreateToken.model_validate({**_said(visit), **_numbers(visit)})
    text = make_registration_token()
    hashed = hash_registration_token(text, visit.house.platform.pepper)

    def create(tx: Tx, caller: Principal) -> RegistrationToken:
        return tokens.create(tx, caller, wish, hashed).model_copy(update={"token": text})

    made = await visit.once(create)
    if made.get("token") is None:
        return visit.go("/ui/tokens", "token-shown-before")
    return visit.page("token.html", 201, made=made)


def _said(visit: Visit) -> dict[str, str]:
    return {name: visit.form[name] for name in ("group_id", "name") if visit.form.get(name)}


def _numbers(visit: Visit) -> dict[str, int | str]:
    """Return the limits; what is no number stays as it is, to be refused rather than left out."""
    found = {name: visit.form.get(name, "").strip() for name in ("max_uses", "expires_in_hours")}
    return {name: int(said) if said.isdecimal() else said for name, said in found.items() if said}


async def revoke_registration_token(visit: Visit) -> Response:
    """Let nobody else in with a token."""
    token_id = visit.names["token_id"]
    await visit.write(lambda tx, caller: tokens.revoke(tx, caller, token_id))
    return visit.go("/ui/tokens", "revoked")
