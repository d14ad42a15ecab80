"""Where requests are bounded before they are read: bodies by size and form, addresses too."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nexus.api.problems import refused
from nexus.api.refusals import BadRequest, Compressed, TooLarge
from nexus.domain.errors import NexusError

MAX_BODY_BYTES = 1024 * 1024
_PLAIN = frozenset({b"identity", b""})


class RequestLimits:
    """Refuses a body by its announced length, or as soon as it grows past the bound."""

    def __init__(self, app: ASGIApp, max_body: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what is within the limits; what never gets read is never buffered either."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await refused(refusal)(scope, receive, send)
            return
        await self._app(scope, self._counted(receive), send)

    def _refusal(self, scope: Scope) -> NexusError | None:
        if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
            return BadRequest("the address must not contain NUL characters")
        headers = dict(scope["headers"])
        coding = headers.get(b"content-encoding", b"identity")
        if coding.strip().lower() not in _PLAIN:
            return Compressed("the body is compressed; send it as it is, without Content-Encoding")
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._max_body:
            return self._too_large()
        return None

    def _counted(self, receive: Receive) -> Receive:
        received = 0

        async def count() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_body:
                raise self._too_large()
            return message

        return count

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body is too large; at most {self._max_body} bytes are taken")
