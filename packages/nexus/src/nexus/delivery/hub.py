"""Where this node's live sessions are known, by agent."""

from collections.abc import Iterator

from nexus.delivery.session import LiveSession


class Hub:
    """The connected agents of this node; the newest session of an agent is the one that counts."""

    def __init__(self) -> None:
        self._sessions: dict[str, LiveSession] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[LiveSession]:
        return iter(tuple(self._sessions.values()))

    def add(self, session: LiveSession) -> LiveSession | None:
        """Make ``session`` its agent's current one; return the one whose place it takes."""
        before = self._sessions.get(session.ref.agent_id)
        self._sessions[session.ref.agent_id] = session
        return before

    def remove(self, session: LiveSession) -> None:
        """Forget ``session``, unless a newer one took its place."""
        if self._sessions.get(session.ref.agent_id) is session:
            del self._sessions[session.ref.agent_id]

    def get(self, agent_id: str) -> LiveSession | None:
        """Return the agent's session if it is connected here and ready."""
        session = self._sessions.get(agent_id)
        return session if session is not None and session.is_ready else None
