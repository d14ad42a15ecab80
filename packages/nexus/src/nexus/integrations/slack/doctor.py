"""Where it is checked whether Slack and Nexus reach each other, each finding with what to do."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from nexus.domain.findings import Finding
from nexus.domain.slack_answers import Answer
from nexus.domain.slack_tokens import WHERE, mistake
from nexus.integrations.slack.manifest import SCOPES

PATIENCE_S = 15.0

MOST_CHANNELS = 40
"""So many channels are looked at: Slack takes about 50 such questions a minute."""

_TIMEOUT_S = 10
_BETWEEN_LOOKS_S = 0.2
_INSTALL = "install the app again, with what `nexus slack manifest` prints"
_LINE = ":stethoscope: `nexus slack doctor` looks whether this arrives; it goes away by itself."


@dataclass(frozen=True, kw_only=True)
class Access:
    """What Nexus was given for Slack."""

    api_url: str
    bot_token: str | None = field(default=None, repr=False)
    app_token: str | None = field(default=None, repr=False)
    signing_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a Nexus says that it is connected; ``channels`` are ids by the names of their owners.

    An owner that has no channel has None.
    """

    connected: bool
    bot_user_id: str | None
    trouble: str | None
    channels: Mapping[str, str | None]


class RunningNexus(Protocol):
    """The Nexus whose connection is checked."""

    def standing(self) -> Standing:
        """Return how it is connected.

        Raises:
            Unwell: it does not say.
        """
        ...

    def newest_event(self, channel_id: str) -> int:
        """Return the number of the newest event that it has taken in from a channel; 0 for none.

        Raises:
            Unwell: it does not say.
        """
        ...


class Unwell(Exception):
    """Slack or Nexus does not do what was asked; the message says why."""


def examine(
    access: Access, nexus: RunningNexus, *, patience_s: float = PATIENCE_S
) -> Iterator[Finding]:
    """Check what can be checked, in the order in which things need each other.

    ``patience_s`` is how long an event of Slack's may be under way.
    """
    yield from settings(access)
    if access.bot_token is None:
        return
    slack = _Slack(access)
    identity, finding = token(slack)
    yield finding
    if identity is None:
        return
    yield scopes(identity)
    if access.app_token is not None:
        yield app_token(slack, access.app_token)
    try:
        yield from _with_nexus(slack, identity, nexus, patience_s)
    except Unwell as error:
        fix = "is Nexus running? `nexus doctor` says more"
        yield Finding(check="nexus", status="fail", found=str(error), fix=fix)


def _with_nexus(
    slack: "_Slack", identity: "Identity", nexus: RunningNexus, patience_s: float
) -> Iterator[Finding]:
    standing = nexus.standing()
    connected = connection(identity, standing)
    yield connected
    usable, found = channels(slack, standing)
    yield found
    if connected.status == "ok" and usable:
        yield round_trip(slack, usable[0], nexus.newest_event, patience_s)


def settings(access: Access) -> Iterator[Finding]:
    """Check that there is what Nexus needs to speak and to hear."""
    name = "settings"
    for setting, value in (
        ("SLACK_BOT_TOKEN", access.bot_token),
        ("SLACK_APP_TOKEN", access.app_token),
    ):
        wrong = mistake(setting, value)
        if wrong is not None:
            found = f"{setting} {wrong}"
            yield Finding(check=name, status="fail", found=found, fix=_WHERE[setting])
            return
    if access.bot_token is None:
        found = "there is no SLACK_BOT_TOKEN"
        yield Finding(check=name, status="fail", found=found, fix=_WHERE["SLACK_BOT_TOKEN"])
    elif access.app_token is None and access.signing_secret is None:
        found = "neither SLACK_SIGNING_SECRET nor SLACK_APP_TOKEN: nothing can come in"
        yield Finding(check=name, status="fail", found=found, fix=_WHERE["SLACK_SIGNING_SECRET"])
    else:
        way = "over HTTP" if access.app_token is None else "over Socket Mode"
        yield Finding(check=name, status="ok", found=f"events come in {way}")


_WHERE = {
    **WHERE,
    "SLACK_SIGNING_SECRET": "copy the Signing Secret from *Basic Information* of the app",
}


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who the bot's token is, and what it may do; None where Slack does not say."""

    user_id: str
    scopes: frozenset[str] | None


def token(slack: "_Slack") -> tuple[Identity | None, Finding]:
    """Check that Slack knows the bot's token; return whose it is, too."""
    name = "token"
    try:
        answer = slack.call("auth_test")
    except Unwell as error:
        fix = f"is SLACK_API_URL right? If the token was revoked, {_INSTALL}"
        return None, Finding(check=name, status="fail", found=str(error), fix=fix)
    said = {key.lower(): value for key, value in answer.headers.items()}.get("x-oauth-scopes")
    granted = None if said is None else frozenset(said.replace(",", " ").split())
    found = f"{answer['user']} in {answer['team']}"
    identity = Identity(user_id=str(answer["user_id"]), scopes=granted)
    return identity, Finding(check=name, status="ok", found=found)


def scopes(identity: Identity) -> Finding:
    """Check that the bot may do all that it needs to."""
    name = "scopes"
    if identity.scopes is None:
        fix = "does a proxy remove the header X-OAuth-Scopes?"
        return Finding(check=name, status="warn", found="Slack does not say them", fix=fix)
    missing = [f"{scope} ({why})" for scope, why in SCOPES.items() if scope not in identity.scopes]
    if missing:
        found = f"missing: {'; '.join(missing)}"
        return Finding(check=name, status="fail", found=found, fix=_INSTALL)
    return Finding(check=name, status="ok", found=f"all {len(SCOPES)} that Nexus needs")


def app_token(slack: "_Slack", value: str) -> Finding:
    """Check that Socket Mode could be opened."""
    name = "app token"
    try:
        slack.call("apps_connections_open", app_token=value)
    except Unwell as error:
        fix = f"{_WHERE['SLACK_APP_TOKEN']}, and enable *Socket Mode*"
        return Finding(check=name, status="fail", found=str(error), fix=fix)
    return Finding(check=name, status="ok", found="opens Socket Mode")


def connection(identity: Identity, standing: Standing) -> Finding:
    """Check that the Nexus that runs is connected, and as the same bot."""
    name = "nexus"
    if not standing.connected:
        found = standing.trouble or "this Nexus is not connected with Slack"
        fix = "start it with the same SLACK_BOT_TOKEN; its log says more"
        return Finding(check=name, status="fail", found=found, fix=fix)
    if standing.bot_user_id != identity.user_id:
        found = f"it is {standing.bot_user_id} in Slack, the token here is {identity.user_id}"
        fix = "run this with the settings of that Nexus"
        return Finding(check=name, status="fail", found=found, fix=fix)
    return Finding(check=name, status="ok", found=f"connected as {standing.bot_user_id}")


def channels(slack: "_Slack", standing: Standing) -> tuple[list[str], Finding]:
    """Check that groups and projects have channels with the app in them; return those that do."""
    usable: list[str] = []
    problems: list[str] = []
    looked_at = list(standing.channels.items())[:MOST_CHANNELS]
    for owner, channel_id in looked_at:
        problem = "has no channel yet" if channel_id is None else _problem(slack, channel_id)
        if problem is None and channel_id is not None:
            usable.append(channel_id)
        else:
            problems.append(f"{owner} {problem}")
    return usable, _of_channels(len(looked_at), len(standing.channels), problems)


def _of_channels(looked_at: int, there: int, problems: list[str]) -> Finding:
    name = "channels"
    if not there:
        fix = "make one: `nexus groups create`, `nexus projects create`"
        return Finding(check=name, status="warn", found="no group and no project", fix=fix)
    if problems:
        fix = "`nexus slack link` gives a group or project another channel"
        return Finding(check=name, status="warn", found="; ".join(problems[:5]), fix=fix)
    rest = "" if looked_at == there else f" of {there}; the others were not looked at"
    return Finding(check=name, status="ok", found=f"the app is in {looked_at}{rest}")


def _problem(slack: "_Slack", channel_id: str) -> str | None:
    try:
        channel = slack.call("conversations_info", channel=channel_id)["channel"]
    except Unwell as error:
        return f"has a channel that cannot be seen: {error}"
    if channel.get("is_archived"):
        return f"has #{channel['name']}, which is archived"
    return None if channel.get("is_member") else f"has #{channel['name']} without the app in it"


def round_trip(
    slack: "_Slack", channel_id: str, newest_event: Callable[[str], int], patience_s: float
) -> Finding:
    """Say something in a channel, and see that Nexus is told of it; what was said goes away."""
    name = "round trip"
    before = newest_event(channel_id)
    began = time.monotonic()
    try:
        said = slack.call("chat_postMessage", channel=channel_id, text=_LINE)
    except Unwell as error:
        return Finding(check=name, status="fail", found=str(error), fix=_INSTALL)
    try:
        while newest_event(channel_id) <= before:
            if time.monotonic() > began + patience_s:
                found = f"Slack took a message, and Nexus heard nothing of it for {patience_s:g} s"
                return Finding(check=name, status="fail", found=found, fix=_UNHEARD)
            time.sleep(_BETWEEN_LOOKS_S)
    finally:
        slack.forget(channel_id, said["ts"])
    found = f"Nexus heard a message after {time.monotonic() - began:.1f} s"
    return Finding(check=name, status="ok", found=found)


_UNHEARD = "are events enabled for the app, and does their request URL end with /webhooks/slack?"


class _Slack:
    """The Web API with the bot's token."""

    def __init__(self, access: Access) -> None:
        self._client = WebClient(
            token=access.bot_token, base_url=access.api_url, timeout=_TIMEOUT_S
        )

    def call(self, method: str, **arguments: Any) -> Any:
        """Call a method, by its name in ``slack_sdk``; return its answer with its headers.

        Raises:
            Unwell: Slack refuses, or does not answer.
        """
        try:
            return getattr(self._client, method)(**arguments)
        except SlackApiError as error:
            raise Unwell(f"{method}: {_reason(error)}") from error
        except OSError as error:
            raise Unwell(f"{method}: Slack does not answer ({error})") from error

    def forget(self, channel_id: str, ts: str) -> None:
        """Delete a message of ours; it does no harm where it stays."""
        try:
            self.call("chat_delete", channel=channel_id, ts=ts)
        except Unwell:
            return


def _reason(error: SlackApiError) -> str:
    answer = Answer.of(error)
    if not answer.code:
        return "an answer that is none of Slack's"
    return f"{answer.code} ({answer.needed})" if answer.needed else answer.code
