"""Where secrets are hashed and checked: on threads, few at once, in a queue with an end."""

from collections.abc import Callable
from typing import Annotated, TypeVar, TypeVarTuple

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import Depends, Request

from nexus.domain.errors import Unavailable

R = TypeVar("R")
Args = TypeVarTuple("Args")

AT_ONCE = 2
"""Each takes a core for about 20 ms and 64 MiB."""

LONGEST_QUEUE = 200


class Hashers:
    """The threads on which one API runs what is slow on purpose."""

    def __init__(self) -> None:
        self._limiter = CapacityLimiter(AT_ONCE)

    async def run(self, work: Callable[[*Args], R], *args: *Args) -> R:
        """Return what ``work`` returns.

        Raises:
            Unavailable: too many wait already.
        """
        if self._limiter.statistics().tasks_waiting >= LONGEST_QUEUE:
            raise Unavailable("too many secrets are being checked at once; try again")
        return await run_sync(work, *args, limiter=self._limiter)


async def _hashers_of(request: Request) -> Hashers:
    hashers: Hashers = request.app.state.hashers
    return hashers


Hashing = Annotated[Hashers, Depends(_hashers_of)]
