"""Where every answer gets the headers that keep browsers and caches from being clever."""

from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = b"content-security-policy"
_CACHE = b"cache-control"
_Header = tuple[bytes, bytes]

_ALWAYS: tuple[_Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_NOTHING: _Header = (_POLICY, b"default-src 'none'; frame-ancestors 'none'")
"""For answers that are no page: should a browser show one, it runs and loads nothing."""
_NO_STORE: _Header = (_CACHE, b"no-store")


@dataclass(frozen=True, kw_only=True)
class Browsers:
    """What browsers are told and allowed.

    ``origins`` are those whose pages may call the API; ``hsts_seconds`` is for how long a browser
    that came over TLS shall come over TLS alone, 0 says nothing about it.
    """

    origins: tuple[str, ...] = ()
    hsts_seconds: int = 0


class SafeHeaders:
    """Forbids guessing, framing and telling; what needed credentials is not stored by caches.

    A page brings a content security policy of its own, which stays.
    """

    def __init__(self, app: ASGIApp, browsers: Browsers) -> None:
        self._app = app
        self._always = list(_ALWAYS)
        if browsers.hsts_seconds:
            lifetime = b"max-age=%d; includeSubDomains" % browsers.hsts_seconds
            self._always.append((b"strict-transport-security", lifetime))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve with the headers added."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with_credentials = any(name == b"authorization" for name, _ in scope["headers"])

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._added(message["headers"], with_credentials)
            await send(message)

        await self._app(scope, receive, add)

    def _added(self, headers: list[_Header], with_credentials: bool) -> list[_Header]:
        named = {name.lower() for name, _ in headers}
        added = [*headers, *self._always]
        if _POLICY not in named:
            added.append(_NOTHING)
        if with_credentials and _CACHE not in named:
            added.append(_NO_STORE)
        return added
