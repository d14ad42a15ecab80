"""Where the workspace lives: who is in it and what stands in it. It changes here and nowhere else.

Every change is told to whoever listens, as the happenings that Slack makes events of.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from nexus.testing.slack import _events
from nexus.testing.slack._channels import Channel
from nexus.testing.slack._errors import NotThereError, RefusedError
from nexus.testing.slack._events import Happening
from nexus.testing.slack._messages import Json, Message, with_ids
from nexus.testing.slack._time import Time
from nexus.testing.slack._users import App, Team, User

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MOST_OF_NAME = 80


class Workspace:
    """A Slack workspace without a door: its rules, but nobody's permissions."""

    def __init__(self, time: Time, listen: Callable[[Happening], None]) -> None:
        self.time = time
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self._listen = listen
        self._numbers = itertools.count(1)
        self.home = Team(id=self.new_id("T"), name="Acme")
        self.teams = {self.home.id: self.home}
        self.app = App(
            id=self.new_id("A"), name="oblivion", user=self.add_user("oblivion", is_bot=True)
        )
        self.app.user = self.change_user(self.app.user, app_id=self.app.id)

    def new_id(self, kind: str) -> str:
        """Return an id like ``C000000012``; its first letter says what it names."""
        number, digits = next(self._numbers), ""
        while number:
            number, digit = divmod(number, len(_ALPHABET))
            digits = _ALPHABET[digit] + digits
        return kind + "0" + digits.rjust(9, "0")

    # --- who ----------------------------------------------------------------------------------

    def add_team(self, name: str) -> Team:
        """Add another organisation."""
        team = Team(id=self.new_id("T"), name=name)
        self.teams[team.id] = team
        return team

    def add_user(self, name: str, *, is_bot: bool = False, **traits: Any) -> User:
        """Add a person, or a bot."""
        bot_id = self.new_id("B") if is_bot else None
        traits.setdefault("team_id", self.home.id)
        user = User(id=self.new_id("U"), name=name, bot_id=bot_id, **traits)
        self.users[user.id] = user
        return user

    def change_user(self, user: User, **traits: Any) -> User:
        """Change what is known of somebody."""
        self.users[user.id] = replace(user, **traits)
        return self.users[user.id]

    def user_called(self, name: str) -> User:
        """Return somebody by name.

        Raises:
            NotThereError: nobody is called so.
        """
        for user in self.users.values():
            if user.name == name:
                return user
        raise NotThereError(f"nobody is called {name!r}")

    # --- channels -----------------------------------------------------------------------------

    def channel_called(self, name: str) -> Channel:
        """Return a channel by name, with or without ``#``.

        Raises:
            NotThereError: no channel is called so.
        """
        for channel in self.channels.values():
            if channel.name == name.removeprefix("#") and channel.kind != "im":
                return channel
        raise NotThereError(f"no channel is called {name!r}; there are {self._names()}")

    def _names(self) -> str:
        names = [f"#{channel.name}" for channel in self.channels.values() if channel.name]
        return ", ".join(names) or "none"

    def create_channel(self, name: str, by: User, *, private: bool = False) -> Channel:
        """Create a channel; its creator is in it.

        Raises:
            RefusedError: the name is taken or not allowed.
        """
        self._check_name(name)
        channel = Channel(
            id=self.new_id("C"),
            name=name,
            kind="group" if private else "channel",
            creator=by.id,
            created=self.time.now() // 1000,
            team_id=self.home.id,
        )
        self.channels[channel.id] = channel
        self.join(channel, by)
        return channel

    def _check_name(self, name: str) -> None:
        if not name:
            raise RefusedError("invalid_name_required")
        if len(name) > _MOST_OF_NAME:
            raise RefusedError("invalid_name_maxlength")
        if not re.fullmatch(r"[\w-]+", name) or name != name.lower():
            raise RefusedError("invalid_name_specials")
        if not any(letter.isalnum() for letter in name):
            raise RefusedError("invalid_name_punctuation")
        if any(channel.name == name for channel in self.channels.values()):
            raise RefusedError("name_taken")

    def direct(self, user: User) -> Channel:
        """Return the direct messages between the app and somebody."""
        members = [self.app.user.id, user.id]
        for channel in self.channels.values():
            if channel.kind == "im" and channel.members == members:
                return channel
        channel = Channel(
            id=self.new_id("D"),
            name="",
            kind="im",
            creator=user.id,
            created=self.time.now() // 1000,
            team_id=self.home.id,
            members=members,
        )
        self.channels[channel.id] = channel
        return channel

    def join(self, channel: Channel, user: User, *, inviter: User | None = None) -> None:
        """Have somebody in the channel, and Slack write so there."""
        if user.id in channel.members:
            return
        channel.members.append(user.id)
        stamp = self.time.stamp()
        invited_by = inviter.id if inviter else None
        self._listen(_events.member_joined(channel, user.id, invited_by, stamp))
        self._system_line(channel, user, "channel_join", f"<@{user.id}> has joined the channel")

    def leave(self, channel: Channel, user: User) -> None:
        """Have somebody out of the channel."""
        if user.id in channel.members:
            channel.members.remove(user.id)
            self._system_line(channel, user, "channel_leave", f"<@{user.id}> has left the channel")

    def rename(self, channel: Channel, name: str, by: User) -> None:
        """Give a channel another name.

        Raises:
            RefusedError: the name is taken or not allowed.
        """
        self._check_name(name)
        channel.previous_names.append(channel.name)
        channel.name = name
        self._listen(_events.channel_changed("rename", channel, by.id, self.time.stamp()))
        self._system_line(channel, by, "channel_name", f"renamed the channel to {name!r}")

    def describe(self, channel: Channel, topic: str, by: User) -> None:
        """Give a channel another topic."""
        channel.topic = topic
        self._system_line(channel, by, "channel_topic", f"set the channel topic: {topic}")

    def archive(self, channel: Channel, by: User) -> None:
        """Archive a channel, which throws its bots out."""
        self._system_line(channel, by, "channel_archive", "archived the channel")
        channel.is_archived = True
        self._listen(_events.channel_changed("archive", channel, by.id, self.time.stamp()))
        people = [member for member in channel.members if not self.users[member].is_bot]
        channel.members[:] = people

    def unarchive(self, channel: Channel, by: User) -> None:
        """Take a channel out of the archive."""
        channel.is_archived = False
        self._listen(_events.channel_changed("unarchive", channel, by.id, self.time.stamp()))
        self.join(channel, by)

    def share(self, channel: Channel, team: Team) -> None:
        """Share a channel with another organisation."""
        if team.id not in channel.shared_with:
            channel.shared_with.append(team.id)

    def _system_line(self, channel: Channel, by: User, subtype: str, text: str) -> None:
        stamp = self.time.stamp()
        line = Message(channel_id=channel.id, ts=stamp, user_id=by.id, text=text, subtype=subtype)
        self.post(channel, line)

    # --- messages -----------------------------------------------------------------------------

    def post(self, channel: Channel, message: Message) -> Message:
        """Put a message into a channel, or a thread there.

        Raises:
            RefusedError: ``thread_not_found``: what it answers was deleted, or never was.
        """
        parent = None
        if message.thread_ts is not None:
            parent = self._root(channel, message.thread_ts)
            message = replace(message, thread_ts=parent.ts)
        channel.posted[message.ts] = message
        self._tell(_events.message_posted(message, channel, self.app, parent=parent))
        return message

    def _root(self, channel: Channel, ts: str) -> Message:
        found = channel.posted.get(ts)
        if found is not None and found.is_reply:
            found = channel.posted.get(found.root_ts)
        if found is None:
            raise RefusedError("thread_not_found")
        return found

    def edit(self, before: Message, **changes: Any) -> Message:
        """Change a message that stands there."""
        channel = self.channels[before.channel_id]
        after = replace(before, **changes)
        channel.posted[before.ts] = after
        replies = channel.thread(before) if not before.is_reply else ()
        stamp = self.time.stamp()
        self._listen(_events.message_changed(before, after, channel, stamp, replies))
        if after.text != before.text:
            self._tell(_events.mentioned(after, channel, self.app))
        return after

    def delete(self, message: Message) -> None:
        """Delete a message; where replies hang on it, a stone stays in its place."""
        channel = self.channels[message.channel_id]
        if not message.is_reply and channel.thread(message):
            self.edit(
                message,
                subtype="tombstone",
                text="This message was deleted.",
                user_id="USLACKBOT",
                bot_id=None,
                app_id=None,
                username=None,
                icon=None,
                blocks=(),
                metadata=None,
            )
            return
        del channel.posted[message.ts]
        self._listen(_events.message_deleted(message, channel, self.time.stamp()))

    def react(self, message: Message, emoji: str, user_id: str) -> Message:
        """Add a reaction.

        Raises:
            RefusedError: ``already_reacted``.
        """
        users = message.reactions.get(emoji, ())
        if user_id in users:
            raise RefusedError("already_reacted")
        return self._with_reaction(message, emoji, (*users, user_id), "added", user_id)

    def unreact(self, message: Message, emoji: str, user_id: str) -> Message:
        """Take a reaction back.

        Raises:
            RefusedError: ``no_reaction``.
        """
        users = message.reactions.get(emoji, ())
        if user_id not in users:
            raise RefusedError("no_reaction")
        others = tuple(user for user in users if user != user_id)
        return self._with_reaction(message, emoji, others, "removed", user_id)

    def _with_reaction(
        self, message: Message, emoji: str, users: tuple[str, ...], what: str, user_id: str
    ) -> Message:
        reactions = {**message.reactions, emoji: users}
        after = replace(message, reactions={name: who for name, who in reactions.items() if who})
        channel = self.channels[message.channel_id]
        channel.posted[message.ts] = after
        told = _events.reaction(what, emoji, user_id, message, self.time.stamp())
        self._listen(replace(told, channel=channel))
        return after

    def revoke(self) -> None:
        """Make the app's tokens void, as an admin does who takes the app out."""
        self._tell(_events.taken_out(self.app, self.time.stamp()))
        self.app.token_error = "token_revoked"

    def _tell(self, happenings: Iterator[Happening]) -> None:
        for happening in happenings:
            self._listen(happening)

    def named(self, blocks: list[Json]) -> tuple[Json, ...]:
        """Return blocks with the ids that Slack gives to blocks and buttons without one."""
        return tuple(with_ids(block, self.short_id) for block in blocks)

    def short_id(self) -> str:
        """Return an id as Slack gives them to blocks."""
        return self.new_id("")[-5:]
