"""Where what a page shows of a conversation in Slack is played against the stand-in for Slack.

A block with a channel for its title is such a conversation. People in it do what it says they do;
what the app or an agent says in it has to be there in time. ::

    Ada: @Oblivion Release 2.1           at the margin: in the channel; below it: in its thread
      Oblivion reacts with :eyes:
      deployer: Where to? | [staging]    a message that says this and has this button
      Ada presses [staging]
      Ada edits: Release 2.2             what she wrote last
"""

import contextlib
import re
from collections.abc import AsyncIterator, Callable

from code_blocks import CodeBlock
from docs_terminals import Given, title_of
from nexus.testing.slack import Channel, Message, NeverHappenedError, Person, SlackServer

PEOPLE = ("Ada", "Bob")
APP = "Oblivion"
PATIENCE_S = 30.0

_SAYS = re.compile(r"(\w+): (.*)")
_EDITS = re.compile(r"(\w+) edits: (.*)")
_PRESSES = re.compile(r"(\w+) presses \[(.+)\]")
_REACTS = re.compile(rf"{APP} reacts with :(\w+):")


class Conversation:
    """The workspace of one page."""

    def __init__(self, slack: SlackServer) -> None:
        self._slack = slack
        self._people: dict[str, Person] = {
            name: slack.user(name, email=f"{name.lower()}@example.com") for name in PEOPLE
        }
        slack.open_channel("our-website", *self._people.values())
        self._root: Message | None = None
        self._last: dict[str, Message] = {}
        self._found: set[str] = set()

    @property
    def given(self) -> Given:
        """What a reader's terminals need: where Slack is, and tokens of their own."""
        app = self._slack.app
        return Given(
            variables={"SLACK_API_URL": self._slack.api_url},
            stands_for={"xoxb-your-token": app.bot_token, "xapp-your-token": app.app_token},
        )

    async def play(self, block: CodeBlock) -> None:
        """Play a conversation to its end; its title is the channel."""
        channel = self._slack.channel(title_of(block) or "")
        for number, line in enumerate(block.text.splitlines(), start=block.line + 1):
            try:
                await self._play(channel, line)
            except NeverHappenedError as error:
                raise AssertionError(f"{block.page}:{number}: {line}\n{error}") from error

    async def _play(self, channel: Channel, line: str) -> None:
        act, in_thread = line.strip(), line.startswith(" ")
        if found := _EDITS.fullmatch(act):
            who, text = found.groups()
            self._last[who] = await self._people[who].edit(self._last[who], text)
        elif found := _PRESSES.fullmatch(act):
            who, label = found.groups()
            message = await self._until(lambda: self._with_button(channel, label))
            await self._people[who].click(message, label)
        elif found := _REACTS.fullmatch(act):
            (emoji,) = found.groups()
            await self._until(lambda: self._reacted_to(channel, emoji))
        else:
            await self._speak(channel, act, in_thread=in_thread)

    async def _speak(self, channel: Channel, act: str, *, in_thread: bool) -> None:
        found = _SAYS.fullmatch(act)
        assert found is not None, f"nobody can play {act!r}"
        who, text = found[1], found[2]
        if who in self._people:
            thread = self._root if in_thread else None
            typed = text.replace(f"@{APP}", self._slack.mention)
            message = await self._people[who].say(channel, typed, thread=thread)
            self._last[who] = message
        else:
            message = await self._until(lambda: self._heard(channel, who, text, in_thread))
        if not in_thread:
            self._root = message

    def _heard(self, channel: Channel, who: str, text: str, in_thread: bool) -> Message | None:
        """Return what somebody said, each time another message, or one that has changed."""
        there = channel.thread(self._root) if in_thread and self._root else channel.messages
        for message in there:
            shown = message.shown
            if message.bot_id and (message.username or APP) == who and says(message, text):
                key = f"{message.ts}:{shown}"
                if key not in self._found:
                    self._found.add(key)
                    return message
        return None

    def _with_button(self, channel: Channel, label: str) -> Message | None:
        there = [*channel.thread(self._root), channel.message(self._root)] if self._root else []
        return next((one for one in there if label in labels(one)), None)

    def _reacted_to(self, channel: Channel, emoji: str) -> Message | None:
        last = [channel.message(message) for message in self._last.values()]
        return next((one for one in last if emoji in one.reactions), None)

    async def _until(self, see: Callable[[], Message | None]) -> Message:
        return await self._slack.until(see, within_s=PATIENCE_S)


def says(message: Message, text: str) -> bool:
    """Say whether a message has all that a line of a page tells of it."""
    buttons = labels(message)
    return all(
        part[1:-1] in buttons if part.startswith("[") else part in message.shown
        for part in text.split(" | ")
    )


def labels(message: Message) -> list[str]:
    """Return what stands on a message's buttons."""
    return [button.label for button in message.buttons]


@contextlib.asynccontextmanager
async def conversation() -> AsyncIterator[Conversation]:
    """Have a workspace with its people until the block ends."""
    async with SlackServer.running() as slack:
        yield Conversation(slack)
