"""Where it is told what the tool ``http`` does: a request by each method."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Protocol

from pydantic import Field, field_validator

from nexus.domain.http_hosts import AGENTS_HEADERS, Method, is_header_value, split_url
from nexus.tools.builtins._wishes import Wish


class Sender(Protocol):
    """Whatever sends requests."""

    async def send(
        self, method: Method, url: str, headers: Mapping[str, str], body: Any = None
    ) -> Any:
        """Send a request, and return the answer as JSON.

        Raises:
            ToolError: it may not be sent, or there is no answer that can be handed on.
        """
        ...


class _Request(Wish[Sender]):
    """A request; ``method`` says of which kind."""

    method: ClassVar[Method]
    url: Annotated[str, Field(description="the whole address, of an allowed host")]
    headers: Annotated[
        dict[str, str], Field(description=f"of these: {', '.join(sorted(AGENTS_HEADERS))}")
    ] = Field(default_factory=dict)

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        split_url(url)
        return url

    @field_validator("headers")
    @classmethod
    def _are_harmless(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if name.lower() not in AGENTS_HEADERS:
                raise ValueError(f"{name[:80]!r} is not among those that may be sent")
            if not is_header_value(value):
                raise ValueError(f"{name} must be one line of ASCII, of at most 4000 characters")
        return {name.lower(): value for name, value in headers.items()}

    async def carry_out(self, means: Sender) -> Any:
        """Send it, and return the answer."""
        return await means.send(self.method, self.url, self.headers)


class _WithBody(_Request):
    """A request that says something."""

    body: Annotated[Any, Field(description="a string is sent as text, anything else as JSON")] = (
        None
    )

    async def carry_out(self, means: Sender) -> Any:
        """Send it, and return the answer."""
        return await means.send(self.method, self.url, self.headers, self.body)


class Get(_Request):
    """Read what is at an address."""

    action: ClassVar[str] = "get"
    idempotent: ClassVar[bool] = True
    method: ClassVar[Method] = "GET"


class Head(_Request):
    """Ask for the status and the headers of what is at an address."""

    action: ClassVar[str] = "head"
    idempotent: ClassVar[bool] = True
    method: ClassVar[Method] = "HEAD"


class Post(_WithBody):
    """Send something to an address."""

    action: ClassVar[str] = "post"
    method: ClassVar[Method] = "POST"


class Put(_WithBody):
    """Put something in the place of what is at an address."""

    action: ClassVar[str] = "put"
    method: ClassVar[Method] = "PUT"


class Patch(_WithBody):
    """Change what is at an address."""

    action: ClassVar[str] = "patch"
    method: ClassVar[Method] = "PATCH"


class Delete(_WithBody):
    """Delete what is at an address."""

    action: ClassVar[str] = "delete"
    method: ClassVar[Method] = "DELETE"


WISHES: list[type[_Request]] = [Get, Head, Post, Put, Patch, Delete]
