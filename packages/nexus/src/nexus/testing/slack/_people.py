"""Where the people live who write, edit, delete, react and click, and the other bots."""

import uuid
from collections.abc import Sequence

from nexus.testing.slack._channels import Channel
from nexus.testing.slack._deliveries import Delivery, PostOffice
from nexus.testing.slack._errors import RefusedError
from nexus.testing.slack._interactions import Interactions
from nexus.testing.slack._messages import Message, rich_text, typed
from nexus.testing.slack._users import User
from nexus.testing.slack._workspace import Workspace

Place = Channel | str
"""A channel, or its name."""


class Person:
    """Somebody in Slack; what they do is told to the app as Slack tells it."""

    def __init__(
        self, user: User, workspace: Workspace, clicks: Interactions, post: PostOffice
    ) -> None:
        self.id = user.id
        self._workspace = workspace
        self._clicks = clicks
        self._post = post

    @property
    def user(self) -> User:
        """What Slack knows of them."""
        return self._workspace.users[self.id]

    @property
    def mention(self) -> str:
        """What mentions them in a text."""
        return f"<@{self.id}>"

    async def say(
        self,
        place: Place,
        text: str,
        *,
        thread: Message | str | None = None,
        files: Sequence[str] = (),
    ) -> Message:
        """Write into a channel, or into the thread of a message; they join if they are not in it.

        ``files`` are the names of what they hang on it.

        Raises:
            RefusedError: ``is_archived``, or ``thread_not_found``.
        """
        channel = self._place(place)
        if channel.is_archived:
            raise RefusedError("is_archived")
        if self.id not in channel.members:
            channel.members.append(self.id)
        return self._write(channel, text, thread, files)

    async def tell_app(self, text: str, *, thread: Message | str | None = None) -> Message:
        """Write to the app in direct messages."""
        return self._write(self._workspace.direct(self.user), text, thread)

    def _write(
        self,
        channel: Channel,
        text: str,
        thread: Message | str | None,
        files: Sequence[str] = (),
    ) -> Message:
        text = typed(text)
        message = Message(
            channel_id=channel.id,
            ts=self._workspace.time.stamp(),
            text=text,
            user_id=self.id,
            team_id=self.user.team_id,
            bot_id=self.user.bot_id,
            app_id=self.user.app_id,
            thread_ts=thread.root_ts if isinstance(thread, Message) else thread,
            blocks=(rich_text(text, self._workspace.short_id()),) if text else (),
            files=tuple({"id": self._workspace.new_id("F"), "name": name} for name in files),
            subtype="file_share" if files else None,
            client_msg_id=None if self.user.is_bot else str(uuid.uuid4()),
        )
        return self._workspace.post(channel, message)

    async def edit(self, message: Message, text: str) -> Message:
        """Change what a message says."""
        standing = self._workspace.channels[message.channel_id].message(message)
        text = typed(text)
        return self._workspace.edit(
            standing,
            text=text,
            blocks=(rich_text(text, self._workspace.short_id()),),
            edited_by=self.id,
            edited_ts=self._workspace.time.stamp(),
        )

    async def delete(self, message: Message) -> None:
        """Delete a message, also one of the app: admins can."""
        self._workspace.delete(self._workspace.channels[message.channel_id].message(message))

    async def react(self, message: Message, emoji: str) -> Message:
        """React with an emoji, like ``eyes``."""
        standing = self._workspace.channels[message.channel_id].message(message)
        return self._workspace.react(standing, emoji, self.id)

    async def click(self, message: Message, button: str) -> Delivery:
        """Click the button with a label or an action id; whoever sees a button can click it.

        Raises:
            NotThereError: there is no such button on the message as it stands.
        """
        payload = self._clicks.click(self.user, message, button)
        delivery = Delivery("interaction", payload)
        self._post.send(delivery)
        return delivery

    async def invite_app(self, place: Place) -> None:
        """Have the app in a channel."""
        app = self._workspace.app.user
        self._workspace.join(self._place(place), app, inviter=self.user)

    async def remove_app(self, place: Place) -> None:
        """Have the app out of a channel."""
        self._workspace.leave(self._place(place), self._workspace.app.user)

    async def rename(self, place: Place, name: str) -> None:
        """Give a channel another name."""
        self._workspace.rename(self._place(place), name, self.user)

    async def archive(self, place: Place) -> None:
        """Archive a channel."""
        self._workspace.archive(self._place(place), self.user)

    async def unarchive(self, place: Place) -> None:
        """Take a channel out of the archive."""
        self._workspace.unarchive(self._place(place), self.user)

    def _place(self, place: Place) -> Channel:
        return self._workspace.channel_called(place) if isinstance(place, str) else place
