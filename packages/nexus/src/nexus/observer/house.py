"""Where it is said what every page of the Observer needs: the platform, the look, the news."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from starlette.requests import Request

from nexus.domain.audit_chain import End
from nexus.domain.findings import Finding
from nexus.observer.links import Links
from nexus.observer.look import Look
from nexus.observer.newsroom import Newsroom
from nexus.observer.pulse import Pulse
from nexus.observer.together import Together
from nexus.services.platform import Platform
from nexus.services.tool_gate import Gate
from nexus.services.workspace import Workspace
from nexus.store.tx import Row

Recognise = Callable[[Request, str, str], Awaitable[Row]]
"""Returns the stored client that a client id and a secret prove; the API knows how."""


Examine = Callable[[str], list[Finding]]
"""Returns what the installation finds wrong with itself, for people of this tenant."""


def nothing_found(tenant_id: str) -> list[Finding]:
    """Return nothing, where nobody looks."""
    return []


Anchors = Callable[[], Collection[End]]
"""Returns how far the audit logs went when last kept outside of the database."""


def nothing_kept() -> Collection[End]:
    """Return nothing, where nothing is kept."""
    return ()


@dataclass(frozen=True, kw_only=True)
class House:
    """The parts that the pages share; made once.

    ``gate`` returns what calls of tools are judged by just now; ``workspace`` is the Slack that
    this node is connected with, if any; ``examine`` checks the installation, and ``anchors`` are
    read, on a thread.
    """

    platform: Platform
    recognise: Recognise
    look: Look
    links: Links
    newsroom: Newsroom
    pulse: Pulse
    together: Together
    gate: Callable[[], Gate] = Gate
    workspace: Workspace | None = None
    examine: Examine = nothing_found
    anchors: Anchors = nothing_kept
