"""Where it is known what somebody said in Slack: by whom, where, in plain words."""

from dataclasses import dataclass

from nexus.domain.principal import Principal, Role
from nexus.services.threads import Author


@dataclass(frozen=True, kw_only=True)
class App:
    """Who we are in the workspace; ``url`` is the workspace's, with a slash at its end."""

    team_id: str
    bot_user_id: str
    bot_id: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Said:
    """A message in Slack, read; ``for_app`` says that it mentions the app."""

    tenant_id: str
    channel_id: str
    ts: str
    thread_ts: str | None
    author: Author
    text: str
    for_app: bool
    url: str

    @property
    def root_ts(self) -> str:
        """The root of the thread that it stands in, or begins."""
        return self.thread_ts or self.ts

    @property
    def name(self) -> str:
        """What the message is called among all of the workspace."""
        return f"{self.channel_id}:{self.ts}"

    @property
    def principal(self) -> Principal:
        """Whoever says it, as services know who asks."""
        return person(self.tenant_id, self.author.id)


def person(tenant_id: str, client_id: str) -> Principal:
    """Return somebody in Slack as services know who asks: people there may do what admins may.

    Who may press buttons and ask for work is checked before.
    """
    return Principal(tenant_id=tenant_id, client_id=client_id, role=Role.ADMIN)
