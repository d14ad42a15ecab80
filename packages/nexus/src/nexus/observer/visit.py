"""Where one request of a person is served: who it is, what it may do, what it is shown."""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from nexus.domain.errors import Forbidden, Invalid, NexusError
from nexus.domain.principal import Principal
from nexus.observer.house import House
from nexus.services import activity, stops
from nexus.services.command import Command
from nexus.services.deeds import Deed, Doer, Requirement, carry_out
from nexus.services.idempotency import Answer, KeyedRequest, once
from nexus.services.stops import Halt
from nexus.store.tx import Tx
from oblivion.protocol import WireModel

R = TypeVar("R")
C = TypeVar("C", bound=Command)
Act = Callable[[Tx, Principal], R]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_SAFE = frozenset({"same-origin", "none"})
_ONCE = "once"
_BACK = "back"
_OURS = frozenset({_ONCE, _BACK})
"""What a form says for the pages alone."""


@dataclass(kw_only=True)
class Frame:
    """What every page shows around its content, true at the moment of the content."""

    position: int = 0
    halt: Halt | None = None

    def look(self, tx: Tx, caller: Principal) -> None:
        """See how it stands."""
        self.position = position(tx, caller)
        self.halt = stops.state(tx, caller.tenant_id)


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One request of a person who is signed in."""

    house: House
    request: Request
    claimed: Principal
    requires: Requirement
    form: Mapping[str, str]
    operation: str = ""
    frame: Frame = field(default_factory=Frame)

    @property
    def names(self) -> dict[str, str]:
        """What the address names."""
        return {name: str(value) for name, value in self.request.path_params.items()}

    @property
    def asked(self) -> Mapping[str, str]:
        """What the query says, without what is empty."""
        return {name: value for name, value in self.request.query_params.items() if value}

    def asked_of(self, *names: str) -> dict[str, str]:
        """Return what the query says under these names."""
        return {name: said for name, said in self.asked.items() if name in names}

    async def read(self, act: Act[R]) -> R:
        """Return what ``act`` finds for the person, and see the frame at the same moment."""

        def both(tx: Tx, caller: Principal) -> R:
            self.frame.look(tx, caller)
            return act(tx, caller)

        return await self.house.platform.store.read(self._doer.enter, both)

    async def read_together(self, act: Act[R]) -> R:
        """Return what ``act`` finds for all who open this address now, as :class:`Together` does.

        Of the caller ``act`` may know no more than tenant and role.
        """

        def both(tx: Tx, caller: Principal) -> tuple[Frame, R]:
            frame = Frame()
            frame.look(tx, caller)
            return frame, act(tx, caller)

        address = (self.operation, self.request.url.path, self.request.url.query)
        seen, found = await self.house.together.look(address, self._doer, both)
        self.frame.position, self.frame.halt = seen.position, seen.halt
        return found

    async def write(self, act: Act[R], *, audited: bool = True) -> R:
        """Carry out ``act`` and return its result once it is on disk, with who did it."""
        deed = self._deed() if audited else None
        return await carry_out(self.house.platform, self._doer, act, deed)

    async def once(self, act: Act[WireModel], *, audited: bool = True) -> dict[str, Any]:
        """Carry out ``act`` once for a form, however often that is sent; return what it made."""

        def keep(tx: Tx, caller: Principal) -> Answer:
            keyed = self._keyed(caller)
            return once(tx, keyed, lambda: Answer(status=201, body=act(tx, caller).to_wire()))

        return (await self.write(keep, audited=audited)).body

    def wish(self, command: type[C], **more: Any) -> C:
        """Return what the form wishes for.

        Raises:
            ValidationError: it does not fit the command.
        """
        said = {name: value for name, value in self.form.items() if name not in _OURS}
        return command.model_validate(said | more)

    def page(self, template: str, status: int = 200, **shown: Any) -> Response:
        """Return a page."""
        shown |= {"who": self.claimed, "frame": self.frame}
        return show(self.house, self.request, template, status, **shown)

    def go(self, address: str, said: str | None = None) -> Response:
        """Lead the browser on, to say there what was done."""
        sign = "&" if "?" in address else "?"
        query = "" if said is None else f"{sign}said={said}"
        return RedirectResponse(f"{address}{query}", status_code=303, headers=_HEADERS)

    def back(self, otherwise: str, said: str) -> Response:
        """Lead the browser back to the page that the form was on, if it says so."""
        return self.go(inside(self.form.get(_BACK, otherwise)), said)

    @property
    def _doer(self) -> Doer:
        return Doer(claimed=self.claimed, requires=self.requires)

    def _deed(self) -> Deed:
        said = {name: value for name, value in self.form.items() if name not in _OURS}
        client = self.request.client
        return Deed(
            action=self.operation,
            address=None if client is None else client.host,
            names=self.names,
            body=orjson.dumps(said) if said else b"",
        )

    def _keyed(self, caller: Principal) -> KeyedRequest | None:
        key = self.form.get(_ONCE, "")
        if not 16 <= len(key) <= 64 or not key.isalnum() or not key.isascii():
            return None
        said = f"{self.request.url.path}\n".encode() + orjson.dumps(dict(self.form))
        return KeyedRequest(
            client_id=caller.client_id,
            key=f"observer-{key}",
            fingerprint=hmac.digest(self.house.platform.pepper, said, "sha256").hex(),
        )


def show(
    house: House, request: Request, template: str, status: int = 200, **shown: Any
) -> HTMLResponse:
    """Return a page as it is for whoever asks."""
    light = request.cookies.get("theme") == "light"
    path = request.scope.get("root_path", "") + request.scope["path"]
    shown.setdefault("frame", Frame())
    page = house.look.render(
        template,
        now=house.platform.clock(),
        path=request.url.path or path,
        here=_here(request),
        query=request.url.query,
        theme="light" if light else "dark",
        said=request.query_params.get("said"),
        **shown,
    )
    return HTMLResponse(page, status_code=status, headers=_HEADERS)


def further(asked: Mapping[str, str], cursor: object) -> str | None:
    """Return where the list of what was asked for goes on; None where ``cursor`` is."""
    return None if cursor is None else "?" + urlencode({**asked, "cursor": cursor})


def _here(request: Request) -> str:
    """Return the address of a page, so that forms on it lead back there."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def told_when(page: Response, error: NexusError) -> Response:
    """Return the page of a refusal, with when to try again where that would help."""
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        page.headers["Retry-After"] = str(retry_after)
    return page


def inside(wanted: str) -> str:
    """Return where to go on: a page of ours, never another site's."""
    ours = wanted.startswith(("/ui/", "/?")) and "\\" not in wanted
    return wanted if ours and wanted.isprintable() else "/"


def position(tx: Tx, caller: Principal) -> int:
    """Return how far the feed goes that a page shows."""
    return activity.position(tx, caller.tenant_id)


async def read_form(request: Request) -> dict[str, str]:
    """Return what a form says, each name once; what was left empty is left out.

    Raises:
        Invalid: it is no form.
        Forbidden: it was sent from a page that is not ours.
    """
    _refuse_foreign(request)
    try:
        body = (await request.body()).decode()
        pairs = parse_qsl(body, errors="strict", max_num_fields=100)
    except ValueError as error:
        raise Invalid("this is not a form in UTF-8") from error
    return {name: value.replace("\r\n", "\n") for name, value in pairs}


def _refuse_foreign(request: Request) -> None:
    """Refuse what another site has a browser send (cross-site request forgery).

    Browsers say where a request comes from; what says nothing is no browser's form.
    """
    site = request.headers.get("sec-fetch-site")
    if site is None:
        origin = request.headers.get("origin", "")
        site = "same-origin" if origin.partition("://")[2] == request.headers.get("host") else ""
    if site not in _SAFE:
        raise Forbidden("this came from another site; open the Observer itself and try again")
