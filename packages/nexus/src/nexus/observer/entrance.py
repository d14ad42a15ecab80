"""Where people come in and go out: credentials or a one-time link, and a cookie that expires."""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from nexus.domain.errors import Forbidden, NexusError, Unauthenticated
from nexus.domain.principal import Principal
from nexus.observer.house import House
from nexus.observer.visit import Visit, inside, read_form, show, told_when
from nexus.services import identity, revocations
from nexus.services.deeds import Deed, Doer, carry_out
from nexus.store.tx import Row, Tx

COOKIE = "nexus_session"
LIFETIME_S = 12 * 3600
SIGN_IN = "/ui/sign-in"

_FETCHED_AHEAD = frozenset({"prefetch", "prerender"})


def signed_in(house: House, request: Request) -> Principal:
    """Return who a request's cookie says it comes from; whether it still may, the store knows.

    Raises:
        Unauthenticated: it has no cookie, or one that is not good any more.
    """
    token = request.cookies.get(COOKIE)
    if token is None:
        raise Unauthenticated("sign in first")
    return house.platform.tokens.read_session(token, house.platform.clock())


def to_sign_in(request: Request) -> Response:
    """Lead the browser to where one signs in, and from there back to where it wanted to go."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method != "GET":
        wanted = "/"  # what was to be done is not done by coming back
    query = "" if wanted == "/" else "?" + urlencode({"next": wanted})
    return RedirectResponse(SIGN_IN + query, status_code=303, headers={"Cache-Control": "no-store"})


async def sign_in_page(house: House, request: Request) -> Response:
    """Show where one signs in."""
    return _page(house, request, wanted=request.query_params.get("next", ""))


async def sign_in(house: House, request: Request) -> Response:
    """Let in whoever proves to be an admin or a viewer."""
    form = await read_form(request)
    wanted = form.get("next", "")
    client_id = form.get("client_id", "").strip()
    secret = form.get("client_secret", "").strip()
    try:
        client = await house.recognise(request, client_id, secret)
        return await _let_in(house, request, client, wanted)
    except NexusError as refusal:
        shown = {"refusal": refusal.message, "wanted": wanted, "client_id": client_id}
        return told_when(_page(house, request, refusal.status, **shown), refusal)


async def enter(house: House, request: Request) -> Response:
    """Let in whoever comes by a one-time link that is still good."""
    if request.headers.get("sec-purpose", "").partition(";")[0] in _FETCHED_AHEAD:
        return Response(status_code=503)  # nobody has followed it yet
    client_id = house.links.take(request.query_params.get("key", ""))
    gone = "this link was used already or has expired; sign in with your client id and secret"
    try:
        client = await house.platform.store.read(identity.client, client_id or "")
        if client is None:
            raise Unauthenticated(gone)
        return await _let_in(house, request, client, "")
    except NexusError as refusal:
        return _page(house, request, refusal.status, refusal=refusal.message)


async def sign_out(visit: Visit) -> Response:
    """End the session for good, wherever its cookie may be."""

    def end(tx: Tx, caller: Principal) -> None:
        client = identity.client(tx, caller.client_id)
        if client is not None:
            revocations.revoke(tx, client, visit.claimed)

    await visit.write(end)
    answer = visit.go(SIGN_IN)
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    return answer


async def theme(visit: Visit) -> Response:
    """Turn dark to light, or light to dark, for this browser."""
    light = visit.request.cookies.get("theme") == "light"
    answer = visit.go(inside(visit.form.get("next", "")))
    year = 365 * 86400
    chosen = "dark" if light else "light"
    answer.set_cookie("theme", chosen, max_age=year, path="/", httponly=True, samesite="lax")
    return answer


async def _let_in(house: House, request: Request, client: Row, wanted: str) -> Response:
    caller = identity.admitted(client)
    if caller.agent_id is not None:
        raise Forbidden("this is an agent's secret; people sign in as an admin or a viewer")
    client_host = None if request.client is None else request.client.host
    deed = Deed(action="sign_in", address=client_host)
    doer = Doer(claimed=caller, requires=Principal.require_viewer)
    now = await carry_out(house.platform, doer, lambda tx, _: tx.now, deed)
    token = house.platform.tokens.issue_session(caller, now, LIFETIME_S)
    answer = RedirectResponse(inside(wanted), status_code=303)
    answer.headers["Cache-Control"] = "no-store"
    over_tls = request.url.scheme == "https"
    answer.set_cookie(
        COOKIE, token, max_age=LIFETIME_S, path="/", httponly=True, samesite="lax", secure=over_tls
    )
    return answer


def _page(house: House, request: Request, status: int = 200, **shown: str) -> Response:
    plain = {"wanted": "", "refusal": "", "client_id": ""}
    return show(house, request, "sign_in.html", status, who=None, **(plain | shown))
