"""Where the Slack of tests lives: a real server on a free port, with a workspace behind it."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import Any, TypeVar

import aiohttp
from aiohttp import web

from nexus.testing.slack import _events
from nexus.testing.slack._changes import Changes
from nexus.testing.slack._channels import Channel
from nexus.testing.slack._deliveries import Answer, Delivery, PostOffice
from nexus.testing.slack._errors import SlackTestingError
from nexus.testing.slack._events import Happening
from nexus.testing.slack._faults import Fault, Faults
from nexus.testing.slack._http_events import HttpCourier, Seal
from nexus.testing.slack._interactions import Interactions
from nexus.testing.slack._limits import Rules
from nexus.testing.slack._messages import Json, Message
from nexus.testing.slack._methods import Caller
from nexus.testing.slack._people import Person
from nexus.testing.slack._socket_mode import SocketMode
from nexus.testing.slack._time import Clock, Time, wall_clock
from nexus.testing.slack._users import App, Team
from nexus.testing.slack._web_api import Call, WebApi
from nexus.testing.slack._workspace import Workspace

T = TypeVar("T")
_PATIENCE_S = 5.0


class SlackServer:
    """A Slack with one workspace and one app in it; make it with :meth:`running`."""

    def __init__(self, rules: Rules, clock: Clock, http: aiohttp.ClientSession) -> None:
        self.url = ""
        self.time = Time(clock)
        self.workspace = Workspace(self.time, self._heard)
        self._changes = Changes()
        self._faults = Faults()
        self._interactions = Interactions(self.workspace, self._changes.happened)
        self._http = HttpCourier(self.app, self.time, rules, http)
        self._sockets = SocketMode(self.app, rules, self._changes.happened)
        self._post = PostOffice(self.time, rules, self._changes.happened)
        caller = Caller(workspace=self.workspace, link=self._link)
        self._api = WebApi(caller, rules, self._faults, self._changes.happened)

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls, *, rules: Rules | None = None, clock: Clock = wall_clock
    ) -> AsyncIterator["SlackServer"]:
        """Run a Slack on a free port of this machine until the block ends.

        ``clock`` tells milliseconds since the epoch; after moving one that stands still, call
        :meth:`tick`.
        """
        async with aiohttp.ClientSession() as http:
            slack = cls(rules or Rules(), clock, http)
            async with slack._listening():
                yield slack

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        door = web.Application()
        door.router.add_route("*", "/api/{method}", self._api.handle)
        door.router.add_post("/actions/{team}/{ticket}", self._interactions.respond)
        door.router.add_get("/link/", self._sockets.connect)
        runner = web.AppRunner(
            door, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        _, port = runner.addresses[0][:2]
        self.url = self._interactions.base_url = f"http://127.0.0.1:{port}"
        self._sockets.base_url = f"ws://127.0.0.1:{port}"
        try:
            yield
        finally:
            await self._post.close()
            await self._sockets.close()
            await runner.cleanup()

    # --- the app and its settings ---------------------------------------------------------------

    @property
    def app(self) -> App:
        """The app under test: its tokens, its secret, what it is allowed and told."""
        return self.workspace.app

    @property
    def api_url(self) -> str:
        """Where the Web API is; the ``base_url`` of a client."""
        return f"{self.url}/api/"

    @property
    def mention(self) -> str:
        """What mentions the app in a text."""
        return f"<@{self.app.user.id}>"

    def environment(self, *, socket_mode: bool = False) -> dict[str, str]:
        """Return the variables that connect Nexus with this Slack."""
        variables = {
            "SLACK_API_URL": self.api_url,
            "SLACK_BOT_TOKEN": self.app.bot_token,
            "SLACK_SIGNING_SECRET": self.app.signing_secret,
        }
        return variables | ({"SLACK_APP_TOKEN": self.app.app_token} if socket_mode else {})

    def revoke_tokens(self) -> None:
        """Take the app out of the workspace: its tokens are void, and it is told so."""
        self.workspace.revoke()

    # --- people and places ----------------------------------------------------------------------

    def user(
        self,
        name: str,
        *,
        email: str | None = None,
        is_guest: bool = False,
        team: Team | None = None,
    ) -> Person:
        """Add a person: a member, a guest, or one of another organisation."""
        home = self.workspace.home
        return self._person(name, email=email, is_guest=is_guest, team_id=(team or home).id)

    def bot(self, name: str) -> Person:
        """Add another app's bot, which speaks as people do."""
        return self._person(name, is_bot=True, app_id=self.workspace.new_id("A"))

    def _person(self, name: str, **traits: Any) -> Person:
        user = self.workspace.add_user(name, **traits)
        return Person(user, self.workspace, self._interactions, self._post)

    def team(self, name: str) -> Team:
        """Add another organisation; its people can be in channels that are shared with it."""
        return self.workspace.add_team(name)

    def open_channel(
        self, name: str, *people: Person, private: bool = False, shared_with: Team | None = None
    ) -> Channel:
        """Have these people in a new channel, without the app; the first one made it."""
        founder = people[0].user if people else self.workspace.add_user("founder")
        channel = self.workspace.create_channel(name, founder, private=private)
        for person in people[1:]:
            self.workspace.join(channel, person.user)
        if shared_with is not None:
            self.workspace.share(channel, shared_with)
        return channel

    def channel(self, name: str) -> Channel:
        """Return a channel by name.

        Raises:
            NotThereError: there is none of that name.
        """
        return self.workspace.channel_called(name)

    @property
    def channels(self) -> list[str]:
        """The names of all channels, also of the archived ones."""
        return [one.name for one in self.workspace.channels.values() if one.kind != "im"]

    def direct_messages(self, person: Person) -> Channel:
        """Return the direct messages between the app and a person."""
        return self.workspace.direct(person.user)

    # --- what the app is told -------------------------------------------------------------------

    async def send_events_to(self, url: str, *, interactions: str | None = None) -> None:
        """Deliver over HTTP from now on, after the handshake that Slack does with a new address.

        Raises:
            SlackTestingError: the app did not send the challenge back.
        """
        self._http.events_url = url
        self._http.interactions_url = interactions or url
        challenge = {"type": "url_verification", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY"}
        answer = await self.send({**challenge, "token": self.app.verification_token})
        if answer.failure or not _echoes(answer.body, challenge["challenge"]):
            raise SlackTestingError(f"{url} did not send the challenge back, but {answer}")
        self._post.courier = self._http

    def _link(self) -> str:
        self._post.courier = self._sockets
        return self._sockets.link()

    def _heard(self, happening: Happening) -> None:
        if _events.is_told(self.app, happening):
            self._post.send(Delivery("event", self.envelope(happening)))
        self._changes.happened()

    def envelope(self, happening: Happening | Json, *, without: Iterable[str] = ()) -> Json:
        """Return an envelope around an event, also around one that Slack would not send."""
        if not isinstance(happening, Happening):
            happening = Happening(subscription="", event=happening)
        event_id = self.workspace.new_id("Ev")
        wrapped = _events.envelope(self.app, happening, event_id, self.time.now())
        return {name: value for name, value in wrapped.items() if name not in {*without}}

    async def send(self, payload: Json | bytes, *, seal: Seal = Seal.GOOD) -> Answer:
        """Post something to the address of events, once, and return the answer."""
        return await self._http.send_event(payload, seal)

    async def send_interaction(self, payload: Json, *, seal: Seal = Seal.GOOD) -> Answer:
        """Post something to the address of interactions, once, and return the answer."""
        return await self._http.send_interaction(payload, seal)

    def hold(self) -> None:
        """Keep back what the app is to be told, until :meth:`release`."""
        self._post.hold()

    async def release(self, *, reverse: bool = False) -> None:
        """Send what was kept back one by one, on request the last first: Slack promises no order.

        Raises:
            NeverHappenedError: the app gives no answer.
        """
        for delivery in self._post.release(reverse=reverse):
            await self.until(partial(getattr, delivery, "tries"))

    def repeat(self, delivery: Delivery) -> Delivery:
        """Tell the app the same once more, under the same event id, as Slack sometimes does."""
        again = Delivery(delivery.kind, delivery.payload)
        self._post.send(again)
        return again

    async def replay(self, delivery: Delivery) -> Answer:
        """Post once more what was posted, byte by byte and under the old signature."""
        sent = delivery.tries[0].answer
        to_events = delivery.kind == "event"
        url = self._http.events_url if to_events else self._http.interactions_url
        return await self._http.post(url, sent.sent_body, dict(sent.sent_headers))

    @property
    def deliveries(self) -> list[Delivery]:
        """Whatever the app was told, or is being told."""
        return self._post.all

    # --- Socket Mode ----------------------------------------------------------------------------

    @property
    def connections(self) -> int:
        """How many connections the app has open in Socket Mode."""
        return self._sockets.connections

    async def refresh_connections(self, *, warned: bool = True) -> None:
        """End every connection as Slack does from time to time: the app is to open a new one."""
        await self._sockets.refresh(warned=warned)

    def cut_connections(self) -> None:
        """Break every connection without a word."""
        self._sockets.cut()

    # --- faults, time, and looking --------------------------------------------------------------

    def fail(self, method: str, fault: Fault, *, times: int = 1) -> None:
        """Have the next calls of a method fail; ``"*"`` is every method."""
        self._faults.order(method, fault, times)

    def heal(self) -> None:
        """Forget the faults that were ordered and have not happened."""
        self._faults.clear()

    def calls(self, method: str | None = None) -> list[Call]:
        """Return the calls of the Web API so far, or those of one method."""
        return [call for call in self._api.calls if method in {None, call.method}]

    def tick(self) -> None:
        """Look at the clock again, after it was moved."""
        self.time.tick()

    async def until(self, see: Callable[[], T | None], *, within_s: float = _PATIENCE_S) -> T:
        """Wait until ``see`` returns something true, and return it; it is called at each change.

        Channels and messages that are not there yet count as false.

        Raises:
            NeverHappenedError: it did not come true; the error tells what stands in Slack.
        """
        return await self._changes.until(see, within_s=within_s, shown=self.transcript)

    async def settled(self, *, within_s: float = _PATIENCE_S) -> None:
        """Wait until everything that was told to the app is taken or given up.

        Raises:
            NeverHappenedError: something is still under way.
        """
        await self.until(
            lambda: all(delivery.is_over for delivery in self.deliveries), within_s=within_s
        )

    def transcript(self) -> str:
        """Return what stands in all channels, and how deliveries went, for a person to read."""
        lines: list[str] = []
        for channel in self.workspace.channels.values():
            lines.append(f"#{channel.name or channel.id}{' (archived)' * channel.is_archived}")
            for message in channel.messages:
                lines += [self._line(message, "  ")]
                lines += [self._line(reply, "    ") for reply in channel.thread(message)]
        lines += [repr(delivery) for delivery in self.deliveries if not delivery.is_taken]
        lines += [f"{call.method}: {call.error}" for call in self._api.calls if call.error]
        return "\n".join(lines)

    def _line(self, message: Message, indent: str) -> str:
        user = self.workspace.users.get(message.user_id or "")
        name = message.username or (user.name if user else message.user_id or "?")
        return f"{indent}{message.ts} {name}: {message.shown!r}"


def _echoes(body: str, challenge: str) -> bool:
    if body.strip() == challenge:
        return True
    try:
        return bool(json.loads(body).get("challenge") == challenge)
    except (ValueError, AttributeError):
        return False
