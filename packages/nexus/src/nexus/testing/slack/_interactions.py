"""Where clicks are worded, and where the answers to their ``response_url`` arrive.

https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
"""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from nexus.testing.slack._blocks import check_blocks
from nexus.testing.slack._channels import Channel, Whisper
from nexus.testing.slack._errors import NotThereError, RefusedError
from nexus.testing.slack._messages import Button, Json, Message, wire
from nexus.testing.slack._users import User
from nexus.testing.slack._workspace import Workspace

_USES = 5
_GOOD_FOR_MS = 30 * 60 * 1000


@dataclass(kw_only=True)
class _Reply:
    """What a ``response_url`` stands for."""

    message: Message
    user: User
    made_at_ms: int
    uses: int = 0


class Interactions:
    """Words clicks, and does what the app answers to their ``response_url``."""

    def __init__(self, workspace: Workspace, happened: Callable[[], None]) -> None:
        self.base_url = ""
        self._workspace = workspace
        self._happened = happened
        self._replies: dict[str, _Reply] = {}

    def click(self, user: User, message: Message, label: str) -> Json:
        """Return what Slack sends when somebody clicks the button with a label or action id.

        Raises:
            NotThereError: there is no such button.
        """
        channel = self._workspace.channels[message.channel_id]
        standing = channel.message(message)
        button = _found(standing, label)
        stamp = self._workspace.time.stamp()
        app = self._workspace.app
        return {
            "type": "block_actions",
            **self._whose(user),
            "api_app_id": app.id,
            "token": app.verification_token,
            "container": _container(standing),
            "trigger_id": f"{stamp}.{secrets.token_hex(8)}",
            "enterprise": None,
            "is_enterprise_install": False,
            "channel": {"id": channel.id, "name": channel.name or "directmessage"},
            "message": wire(standing, () if standing.is_reply else channel.thread(standing)),
            "state": {"values": {}},
            "response_url": self._response_url(standing, user),
            "actions": [_action(button, stamp)],
        }

    def _whose(self, user: User) -> Json:
        team = self._workspace.teams[user.team_id]
        names = {"username": user.name, "name": user.name}
        return {
            "user": {"id": user.id, **names, "team_id": user.team_id},
            "team": {"id": team.id, "domain": team.domain},
        }

    def _response_url(self, message: Message, user: User) -> str:
        ticket, now = secrets.token_urlsafe(16), self._workspace.time.now()
        self._replies[ticket] = _Reply(message=message, user=user, made_at_ms=now)
        return f"{self.base_url}/actions/{self._workspace.home.id}/{ticket}"

    async def respond(self, request: web.Request) -> web.Response:
        """Do what an app posts to a ``response_url``: five times, within half an hour."""
        reply = self._replies.get(request.match_info["ticket"])
        now = self._workspace.time.now()
        if reply is None or now - reply.made_at_ms > _GOOD_FOR_MS:
            return _refused("expired_url", 404)
        if reply.uses >= _USES:
            return _refused("used_url", 404)
        reply.uses += 1
        try:
            self._do(reply, json.loads(await request.text()))
        except RefusedError as refusal:
            return _refused(refusal.error, 400)
        except ValueError:
            return _refused("invalid_payload", 400)
        self._happened()
        return web.Response(text="ok")

    def _do(self, reply: _Reply, wish: Json) -> None:
        channel = self._workspace.channels[reply.message.channel_id]
        standing = channel.posted.get(reply.message.ts)
        blocks = self._workspace.named(check_blocks(wish.get("blocks") or []))
        says: dict[str, Any] = {"text": wish.get("text", ""), "blocks": blocks}
        if wish.get("delete_original"):
            if standing is not None:
                self._workspace.delete(standing)
        elif wish.get("replace_original"):
            if standing is not None:
                self._workspace.edit(standing, **says)
        elif wish.get("response_type") == "in_channel":
            self._post(channel, wish, says)
        else:
            thread = wish.get("thread_ts")
            channel.whispers.append(Whisper(user_id=reply.user.id, thread_ts=thread, **says))

    def _post(self, channel: Channel, wish: Json, says: dict[str, Any]) -> None:
        app = self._workspace.app
        message = Message(
            channel_id=channel.id,
            ts=self._workspace.time.stamp(),
            team_id=app.user.team_id,
            user_id=app.user.id,
            bot_id=app.bot_id,
            app_id=app.id,
            thread_ts=wish.get("thread_ts"),
            **says,
        )
        self._workspace.post(channel, message)


def _found(message: Message, label: str) -> Button:
    for button in message.buttons:
        if label in {button.label, button.action_id}:
            return button
    there = ", ".join(repr(button.label) for button in message.buttons) or "none"
    raise NotThereError(f"no button {label!r} on the message {message.ts}; there are: {there}")


def _container(message: Message) -> Json:
    thread = {} if message.thread_ts is None else {"thread_ts": message.thread_ts}
    return {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": message.channel_id,
        "is_ephemeral": False,
        **thread,
    }


def _action(button: Button, stamp: str) -> Json:
    action: Json = {
        "action_id": button.action_id,
        "block_id": button.block_id,
        "text": {"type": "plain_text", "text": button.label, "emoji": True},
        "value": button.value,
        "style": button.style,
        "type": "button",
        "action_ts": stamp,
    }
    return {name: value for name, value in action.items() if value is not None}


def _refused(error: str, status: int) -> web.Response:
    return web.json_response({"ok": False, "error": error}, status=status)
