"""Where access tokens are given out and read; here a test turns its agent away, too."""

import secrets

from oblivion._clock import Clock
from oblivion.protocol import ErrorCode
from oblivion.testing._agents import Agent, Agents
from oblivion.testing._refusal import Refusal

LIFE_SECONDS = 900.0

_RETRYABLE = frozenset(
    {ErrorCode.AGENTS_STOPPED, ErrorCode.SERVER_DRAINING, ErrorCode.RATE_LIMITED}
)


class Tokens:
    """The tokens that are good, and for how long."""

    def __init__(self, clock: Clock, agents: Agents) -> None:
        self._clock = clock
        self._agents = agents
        self._given: dict[str, tuple[Agent, float]] = {}
        self._refusals: list[str] = []

    def refuse(self, code: str, times: int) -> None:
        """Turn the next connections away with this code."""
        self._refusals += [code] * times

    def expire(self) -> None:
        """Have every token given so far be past its time."""
        self._given = {token: (agent, 0.0) for token, (agent, _) in self._given.items()}

    def give(self, client_id: str, secret: str) -> str | None:
        """Return a token for the right secret, else None."""
        agent = self._agents.get(client_id)
        if agent is None or not secrets.compare_digest(agent.secret.encode(), secret.encode()):
            return None
        token = secrets.token_urlsafe(16)
        self._given[token] = (agent, self._clock.monotonic() + LIFE_SECONDS)
        return token

    def read(self, token: str | None, *, connecting: bool = True) -> Agent:
        """Return whose token it is.

        Raises:
            Refusal: it is missing, wrong or expired, or the test said so.
        """
        if connecting and self._refusals:
            code = self._refusals.pop(0)
            message = f"the test refuses this connection: {code}"
            raise Refusal(code, message, retryable=code in _RETRYABLE)
        known = self._given.get(token or "")
        if known is None:
            raise Refusal(ErrorCode.UNAUTHORIZED, "the token is missing or wrong")
        agent, until = known
        if self._clock.monotonic() >= until:
            raise Refusal(ErrorCode.TOKEN_EXPIRED, "the token has expired")
        return agent
