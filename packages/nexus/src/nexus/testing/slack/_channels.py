"""Where channels live, with what was said in them."""

from dataclasses import dataclass, field

from nexus.testing.slack._errors import NotThereError
from nexus.testing.slack._messages import SYSTEM_SUBTYPES, Json, Message

SCOPE_OF_KIND = {"channel": "channels", "group": "groups", "im": "im"}
"""How scopes and types of events call a kind of conversation."""


@dataclass(frozen=True, kw_only=True)
class Whisper:
    """What only one person was shown; Slack does not keep it."""

    user_id: str
    text: str
    blocks: tuple[Json, ...] = ()
    thread_ts: str | None = None


@dataclass(kw_only=True)
class Channel:
    """A channel, private channel (``group``) or direct message (``im``)."""

    id: str
    name: str
    kind: str
    creator: str
    created: int
    team_id: str
    members: list[str] = field(default_factory=list)
    is_archived: bool = False
    topic: str = ""
    shared_with: list[str] = field(default_factory=list)
    """The ids of other organisations whose people are in it."""
    previous_names: list[str] = field(default_factory=list)
    posted: dict[str, Message] = field(default_factory=dict)
    """Everything that stands in it by its ``ts``, in order."""
    whispers: list[Whisper] = field(default_factory=list)

    @property
    def is_private(self) -> bool:
        """Say whether those outside cannot see it."""
        return self.kind != "channel"

    @property
    def history(self) -> list[Message]:
        """What stands in the channel itself, Slack's own lines and repeated replies included."""
        return [
            message
            for message in self.posted.values()
            if not message.is_reply or message.subtype == "thread_broadcast"
        ]

    @property
    def messages(self) -> list[Message]:
        """What people and apps wrote into the channel itself, the oldest first."""
        return [
            message
            for message in self.posted.values()
            if not message.is_reply and message.subtype not in SYSTEM_SUBTYPES
        ]

    def thread(self, root: Message | str) -> list[Message]:
        """Return the replies below a message, or below the message of a ``ts``; oldest first."""
        ts = root if isinstance(root, str) else root.root_ts
        return [message for message in self.posted.values() if message.thread_ts == ts]

    def message(self, which: Message | str) -> Message:
        """Return a message as it stands now.

        Raises:
            NotThereError: it was deleted, or was never there.
        """
        ts = which if isinstance(which, str) else which.ts
        try:
            return self.posted[ts]
        except KeyError:
            raise NotThereError(f"no message {ts} stands in #{self.name}") from None

    def wire(self, viewer: str) -> Json:
        """Return the conversation as Slack writes it for a user."""
        if self.kind == "im":
            (other,) = [member for member in self.members if member != viewer][:1] or [viewer]
            return {"id": self.id, "created": self.created, "is_im": True, "user": other}
        shared = bool(self.shared_with)
        return {
            "id": self.id,
            "name": self.name,
            "name_normalized": self.name,
            "is_channel": self.kind == "channel",
            "is_group": self.kind == "group",
            "is_im": False,
            "is_mpim": False,
            "is_private": self.is_private,
            "created": self.created,
            "creator": self.creator,
            "is_archived": self.is_archived,
            "is_general": self.name == "general",
            "is_member": viewer in self.members,
            "is_shared": shared,
            "is_ext_shared": shared,
            "is_org_shared": False,
            "shared_team_ids": [self.team_id, *self.shared_with],
            "context_team_id": self.team_id,
            "num_members": len(self.members),
            "previous_names": list(self.previous_names),
            "topic": {"value": self.topic, "creator": "", "last_set": 0},
            "purpose": {"value": "", "creator": "", "last_set": 0},
        }
