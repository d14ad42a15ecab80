"""Where the command line talks to Nexus over HTTP: tokens, retries, pages, clear refusals."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import httpx2

from nexus import __version__
from nexus.cli.addresses import check_url, is_local
from nexus.cli.credentials import Credentials
from nexus.cli.errors import BadUsage
from nexus.cli.problems import refusal, refused_credentials, unreachable

PAGE_SIZE = 200
"""The most that one request asks for; the server gives no more."""

TIMEOUT_S = 30.0
_TRIES = 4
_LONGEST_PAUSE_S = 30.0
_TOKEN_MARGIN_S = 30.0
_PENDING_CODE = "idempotency_in_progress"

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What a list held, up to the wanted number; ``has_more`` when there is more of it."""

    items: list[Json]
    has_more: bool


def open_http(url: str, *, timeout_s: float = TIMEOUT_S) -> httpx2.Client:
    """Return an HTTP client for ``url``; this machine is never asked through a proxy."""
    try:
        return httpx2.Client(
            base_url=check_url(url),
            timeout=httpx2.Timeout(timeout_s, connect=10.0),
            headers={"User-Agent": f"nexus-cli/{__version__}", "Accept": "application/json"},
            trust_env=not is_local(url),
        )
    except (httpx2.InvalidURL, ValueError) as error:
        raise BadUsage(f"{url!r} is no address of a server: {error}") from error


class Client:
    """A caller of the API with its own token; every POST has an ``Idempotency-Key``.

    Without credentials it asks without a token, for what is open to anyone.

    Raises (any method that sends):
        BadUsage: the credentials or the request are wrong.
        Failed: Nexus refused the request as things stand, e.g. something does not exist.
        NotReachable: there was no answer, also after retries.
    """

    def __init__(
        self,
        http: httpx2.Client,
        credentials: Credentials | None,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._http = http
        self._credentials = credentials
        self._sleep = sleep
        self._token = ""
        self._token_ends = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def get(self, path: str, *, timeout_s: float = TIMEOUT_S, **query: Any) -> Any:
        """Return what is at ``path``; parameters that are None are left out."""
        params = {name: value for name, value in query.items() if value is not None}
        request = self._http.build_request("GET", path, params=params, timeout=timeout_s)
        return self.send(request).json()

    def post(self, path: str, body: Json | None = None) -> Any:
        """Carry out a command, once however often it is sent, and return its answer."""
        return _answer(self.send(self.post_request(path, body, key=str(uuid.uuid4()))))

    def post_request(self, path: str, body: Json | None, *, key: str) -> httpx2.Request:
        """Return a POST that has no second effect when ``key`` was used for it before."""
        return self._request("POST", path, body, {"Idempotency-Key": key})

    def delete(self, path: str) -> None:
        """Remove or archive what is at ``path``."""
        self.send(self._request("DELETE", path, None, {}))

    def listing(self, path: str, *, limit: int, **query: Any) -> Listing:
        """Return the first ``limit`` items of a list, however many pages that takes."""
        items: list[Json] = []
        cursor: str | None = None
        while True:
            wanted = min(limit - len(items), PAGE_SIZE)
            page = self.get(path, limit=wanted, cursor=cursor, **query)
            items += page["items"]
            cursor = page.get("nextCursor")
            if cursor is None or not page["items"] or len(items) >= limit:
                more = cursor is not None or len(items) > limit
                return Listing(items=items[:limit], has_more=more)

    def send(self, request: httpx2.Request) -> httpx2.Response:
        """Send with a valid token, again where that may help, and return the good answer."""
        if self._credentials is None:
            response = self._persist(request)
        else:
            response = self._send_as(self._credentials, request)
        if not response.is_success:
            raise refusal(response)
        return response

    def _send_as(self, credentials: Credentials, request: httpx2.Request) -> httpx2.Response:
        if not self._token or time.monotonic() >= self._token_ends:
            self._log_in(credentials)
        response = self._send_authorized(request)
        if response.status_code == httpx2.codes.UNAUTHORIZED:
            self._log_in(credentials)
            response = self._send_authorized(request)
        return response

    def _log_in(self, credentials: Credentials) -> None:
        """Get a new token."""
        form = {
            "grant_type": "client_credentials",
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret,
        }
        response = self._persist(self._http.build_request("POST", "/auth/token", data=form))
        if not response.is_success:
            raise refused_credentials(response, credentials.source)
        try:
            answer = response.json()
            self._token = str(answer["access_token"])
            lifetime = float(answer.get("expires_in", 60))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            host = response.url.host
            raise BadUsage(f"{host} does not answer as Nexus does; check --url") from error
        self._token_ends = time.monotonic() + max(lifetime - _TOKEN_MARGIN_S, lifetime / 2)

    def _request(
        self, method: str, path: str, body: Json | None, headers: dict[str, str]
    ) -> httpx2.Request:
        try:
            return self._http.build_request(method, path, json=body, headers=headers)
        except UnicodeEncodeError as error:
            raise BadUsage("the input has characters that are not UTF-8") from error

    def _send_authorized(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return self._persist(request)

    def _persist(self, request: httpx2.Request) -> httpx2.Response:
        for tries_left in reversed(range(_TRIES)):
            pause = 1.0
            try:
                response = self._http.send(request)
                if not tries_left or not _comes_back(response):
                    return response
                pause = _retry_after(response)
            except httpx2.HTTPError as error:
                if not tries_left or isinstance(error, _HOPELESS):
                    raise unreachable(str(self._http.base_url).rstrip("/"), error) from error
            self._sleep(pause)
        raise AssertionError("the last try returns or raises")


_HOPELESS = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.UnsupportedProtocol)
"""Failures before anything was sent: nobody listens there, and that is worth saying at once."""


def _answer(response: httpx2.Response) -> Any:
    return response.json() if response.content else None


def _comes_back(response: httpx2.Response) -> bool:
    if response.status_code in {429, 503}:
        return True
    return response.status_code == httpx2.codes.CONFLICT and _PENDING_CODE in response.text


def _retry_after(response: httpx2.Response) -> float:
    """Return how many seconds to wait; the header is a number or a date (RFC 9110)."""
    said = response.headers.get("retry-after", "")
    try:
        seconds = float(said) if said.isdigit() else _seconds_until(said)
    except ValueError:
        seconds = 1.0
    return min(max(seconds, 0.1), _LONGEST_PAUSE_S)


def _seconds_until(moment: str) -> float:
    return parsedate_to_datetime(moment).timestamp() - time.time()
