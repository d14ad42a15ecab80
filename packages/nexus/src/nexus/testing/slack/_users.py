"""Where those live who are in the workspace: teams, people, bots, and the app under test."""

import secrets
from dataclasses import dataclass, field, replace

from nexus.testing.slack._messages import Json

SCOPES = (
    "app_mentions:read",
    "channels:history",
    "channels:join",
    "channels:manage",
    "channels:read",
    "chat:write",
    "chat:write.customize",
    "groups:history",
    "groups:read",
    "groups:write",
    "im:history",
    "im:read",
    "im:write",
    "reactions:read",
    "reactions:write",
    "users:read",
    "users:read.email",
)
"""What the app is allowed unless a test says otherwise."""

EVENTS = (
    "app_mention",
    "app_uninstalled",
    "channel_archive",
    "channel_rename",
    "channel_unarchive",
    "group_archive",
    "group_rename",
    "group_unarchive",
    "member_joined_channel",
    "message.channels",
    "message.groups",
    "message.im",
    "reaction_added",
    "reaction_removed",
    "tokens_revoked",
)
"""What the app is told unless a test says otherwise."""


@dataclass(frozen=True, kw_only=True)
class Team:
    """A workspace; ours, or that of another organisation."""

    id: str
    name: str

    @property
    def domain(self) -> str:
        """Its name in addresses."""
        return "".join(letter for letter in self.name.lower() if letter.isalnum())


@dataclass(frozen=True, kw_only=True)
class User:
    """A person or a bot."""

    id: str
    name: str
    team_id: str
    email: str | None = None
    bot_id: str | None = None
    app_id: str | None = None
    is_guest: bool = False
    is_deleted: bool = False

    @property
    def is_bot(self) -> bool:
        """Say whether it is a bot."""
        return self.bot_id is not None

    @property
    def real_name(self) -> str:
        """The name that people read."""
        return self.name.replace(".", " ").replace("-", " ").title()

    def wire(self, home_team: str, *, with_email: bool) -> Json:
        """Return the user as Slack writes it for those of ``home_team``."""
        profile: Json = {
            "real_name": self.real_name,
            "real_name_normalized": self.real_name,
            "display_name": self.name,
            "display_name_normalized": self.name,
            "team": self.team_id,
        }
        if with_email and self.email is not None:
            profile["email"] = self.email
        if self.is_bot:
            profile |= {"bot_id": self.bot_id, "api_app_id": self.app_id}
        user: Json = {
            "id": self.id,
            "team_id": self.team_id,
            "name": self.name,
            "deleted": self.is_deleted,
            "real_name": self.real_name,
            "profile": profile,
            "is_bot": self.is_bot,
            "is_app_user": False,
            "is_restricted": self.is_guest,
            "is_ultra_restricted": False,
            "tz": "Europe/Amsterdam",
            "updated": 0,
        }
        return user | ({"is_stranger": True} if self.team_id != home_team else {})


@dataclass(kw_only=True)
class App:
    """The app under test, as it is installed."""

    id: str
    name: str
    user: User
    bot_token: str = field(default_factory=lambda: f"xoxb-{secrets.token_hex(12)}")
    app_token: str = field(default_factory=lambda: f"xapp-1-{secrets.token_hex(12)}")
    signing_secret: str = field(default_factory=lambda: secrets.token_hex(16))
    verification_token: str = field(default_factory=lambda: secrets.token_hex(12))
    scopes: frozenset[str] = frozenset(SCOPES)
    events: frozenset[str] = frozenset(EVENTS)
    token_error: str | None = None
    """What calls with its tokens are refused with, once they are void."""

    @property
    def bot_id(self) -> str:
        """The id of its bot, not of the bot's user."""
        return self.user.bot_id or ""

    def deactivate(self) -> None:
        """Switch its bot user off."""
        self.user = replace(self.user, is_deleted=True)
        self.token_error = "account_inactive"
