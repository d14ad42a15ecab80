"""Where it is told who is who: ``auth.*``, ``users.*``, ``apps.*`` and ``api.*`` of the Web API."""

from nexus.testing.slack._errors import RefusedError
from nexus.testing.slack._messages import Json
from nexus.testing.slack._methods import (
    SPECIAL,
    TIER_2,
    TIER_3,
    TIER_4,
    Arguments,
    Caller,
    method,
    page,
)
from nexus.testing.slack._users import User


@method("api.test", per_minute=TIER_4, token="")
def api_test(_: Caller, arguments: Arguments) -> Json:
    """Say what was sent; ``error`` makes it fail."""
    if error := arguments.text("error"):
        raise RefusedError(error, args=dict(arguments.given))
    return {"args": dict(arguments.given)} if arguments.given else {}


@method("auth.test", per_minute=SPECIAL)
def auth_test(caller: Caller, _: Arguments) -> Json:
    """Tell who calls; of whoever is no bot, no bot's id."""
    home = caller.workspace.home
    bot = {"bot_id": caller.app.bot_id} if caller.app.bot_id else {}
    return {
        "url": f"https://{home.domain}.slack.com/",
        "team": home.name,
        "user": caller.user.name,
        "team_id": home.id,
        "user_id": caller.user.id,
        **bot,
        "is_enterprise_install": False,
    }


@method("apps.connections.open", per_minute=TIER_3, token="xapp")
def connections_open(caller: Caller, _: Arguments) -> Json:
    """Give an address for one connection in Socket Mode."""
    return {"url": caller.link()}


@method("bots.info", scopes=("users:read",), per_minute=TIER_3, takes_json=False)
def bots_info(caller: Caller, arguments: Arguments) -> Json:
    """Tell of a bot."""
    for user in caller.workspace.users.values():
        if user.bot_id == arguments.text("bot"):
            bot = {
                "id": user.bot_id,
                "deleted": user.is_deleted,
                "name": user.name,
                "app_id": user.app_id,
                "user_id": user.id,
            }
            return {"bot": bot}
    raise RefusedError("bot_not_found")


@method(
    "users.info",
    scopes=("users:read",),
    required=("user",),
    per_minute=TIER_4,
    takes_json=False,
)
def users_info(caller: Caller, arguments: Arguments) -> Json:
    """Tell of a user."""
    user = caller.workspace.users.get(arguments.text("user"))
    if user is None:
        raise RefusedError("user_not_found")
    return {"user": _shown(caller, user)}


@method("users.list", scopes=("users:read",), per_minute=TIER_2, takes_json=False)
def users_list(caller: Caller, arguments: Arguments) -> Json:
    """List everybody of the workspace."""
    home = [
        user for user in caller.workspace.users.values() if user.team_id == caller.workspace.home.id
    ]
    limit = arguments.number("limit", 1000, most=1000)
    shown, metadata = page(home, arguments, limit)
    return {"members": [_shown(caller, user) for user in shown], "response_metadata": metadata}


@method(
    "users.lookupByEmail",
    scopes=("users:read.email",),
    required=("email",),
    per_minute=TIER_3,
    takes_json=False,
)
def lookup_by_email(caller: Caller, arguments: Arguments) -> Json:
    """Tell who has an address; those of other organisations and who left are not found."""
    wanted = arguments.text("email").lower()
    for user in caller.workspace.users.values():
        known = user.email is not None and user.email.lower() == wanted
        if known and user.team_id == caller.workspace.home.id and not user.is_deleted:
            return {"user": _shown(caller, user)}
    raise RefusedError("users_not_found")


def _shown(caller: Caller, user: User) -> Json:
    with_email = "users:read.email" in caller.app.scopes
    return user.wire(caller.workspace.home.id, with_email=with_email)
