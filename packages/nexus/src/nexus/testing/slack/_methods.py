"""Where methods of the Web API are registered: what each needs, and how it is called (pure).

Scopes, rates and errors are those of https://docs.slack.dev/reference/methods.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from nexus.testing.slack._channels import SCOPE_OF_KIND, Channel
from nexus.testing.slack._errors import RefusedError
from nexus.testing.slack._messages import Json, Message
from nexus.testing.slack._users import App, User
from nexus.testing.slack._workspace import Workspace

TIER_2, TIER_3, TIER_4 = 20, 50, 100
SPECIAL = 300
"""Calls a minute."""

T = TypeVar("T")


class Arguments:
    """The arguments of a call, from a form, a query or JSON."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given

    def text(self, name: str, default: str = "") -> str:
        """Return an argument as text."""
        value = self.given.get(name)
        return default if value is None else str(value)

    def flag(self, name: str) -> bool:
        """Return an argument as yes or no; forms write ``1``, ``true``, ``0``, ``false``."""
        return str(self.given.get(name, "")).lower() in {"1", "true"}

    def number(self, name: str, default: int, *, most: int) -> int:
        """Return a number of at least 1.

        Raises:
            RefusedError: ``invalid_limit`` where it is no number, or too large.
        """
        text = self.text(name, str(default))
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise RefusedError("invalid_limit")
        return int(text)

    def json(self, name: str, error: str) -> Any:
        """Return what an argument holds as JSON, which forms write as text; None without it.

        Raises:
            RefusedError: with the given error where it is no JSON.
        """
        value = self.given.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise RefusedError(error) from None

    def names(self, name: str) -> list[str]:
        """Return a list that is written with commas."""
        value = self.given.get(name)
        parts = value if isinstance(value, list) else self.text(name).split(",")
        return [part.strip() for part in parts if part.strip()]


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The app that calls, and the workspace that it sees."""

    workspace: Workspace
    link: Callable[[], str]
    """Makes an address for Socket Mode that is good for one connection."""

    @property
    def app(self) -> App:
        """The app."""
        return self.workspace.app

    @property
    def user(self) -> User:
        """The user of its bot."""
        return self.app.user

    def need(self, *scopes: str) -> None:
        """Go on with one of these scopes.

        Raises:
            RefusedError: ``missing_scope``.
        """
        if not self.app.scopes.intersection(scopes):
            provided = ",".join(sorted(self.app.scopes))
            raise RefusedError("missing_scope", needed=",".join(scopes), provided=provided)

    def channel(self, channel_id: str) -> Channel:
        """Return a channel that the app can see, by its id.

        Raises:
            RefusedError: ``channel_not_found``.
        """
        channel = self.workspace.channels.get(channel_id)
        if channel is None or (channel.is_private and self.user.id not in channel.members):
            raise RefusedError("channel_not_found")
        return channel

    def read(self, channel_id: str) -> Channel:
        """Return a channel whose messages the app may read.

        Raises:
            RefusedError: ``channel_not_found``, ``missing_scope``, ``not_in_channel``.
        """
        channel = self.channel(channel_id)
        self.need(f"{SCOPE_OF_KIND[channel.kind]}:history")
        self.be_in(channel)
        return channel

    def be_in(self, channel: Channel) -> None:
        """Go on where the app is in the channel.

        Raises:
            RefusedError: ``not_in_channel``.
        """
        if self.user.id not in channel.members:
            raise RefusedError("not_in_channel")

    def message(self, channel: Channel, ts: str) -> Message:
        """Return a message that stands in a channel.

        Raises:
            RefusedError: ``message_not_found``.
        """
        message = channel.posted.get(ts)
        if message is None or message.is_deleted:
            raise RefusedError("message_not_found")
        return message


Handler = Callable[[Caller, Arguments], Json]


@dataclass(frozen=True, kw_only=True)
class Method:
    """What a call of a method needs before it is handled."""

    handle: Handler
    scopes: tuple[str, ...] = ()
    """Any one of them is enough."""
    required: tuple[str, ...] = ()
    per_minute: int = TIER_3
    takes_json: bool = True
    """Slack reads a JSON body for methods that write, and ignores it for those that read."""
    token: str = "xoxb"
    """How the tokens begin that it takes."""


METHODS: dict[str, Method] = {}


def method(name: str, **needs: Any) -> Callable[[Handler], Handler]:
    """Register what handles a method."""

    def register(handle: Handler) -> Handler:
        METHODS[name] = Method(handle=handle, **needs)
        return handle

    return register


def page(items: Sequence[T], arguments: Arguments, limit: int) -> tuple[Sequence[T], Json]:
    """Return one page of what there is, and the ``response_metadata`` that leads to the next.

    Raises:
        RefusedError: ``invalid_cursor``.
    """
    start = _position(arguments.text("cursor"))
    end = start + limit
    cursor = base64.b64encode(f"next:{end}".encode()).decode() if end < len(items) else ""
    return items[start:end], {"next_cursor": cursor}


def _position(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        _, _, position = base64.b64decode(cursor, validate=True).decode().partition("next:")
        return int(position)
    except (binascii.Error, ValueError):
        raise RefusedError("invalid_cursor") from None
