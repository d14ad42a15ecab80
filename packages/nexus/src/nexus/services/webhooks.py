"""Where it is said what whoever takes in other services' webhooks has to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nexus.services.deliveries import Letter


@dataclass(frozen=True, kw_only=True)
class Received:
    """What a request holds: ``letters`` to be stored, and what is answered once they are."""

    letters: Sequence[Letter] = ()
    answer: Mapping[str, Any] | None = None


class Webhook(Protocol):
    """Knows how one service proves that a request is its own, and what it holds."""

    def receive(self, headers: Mapping[str, str], body: bytes) -> Received:
        """Return what a request holds; ``headers`` are found whatever the case of their names.

        Raises:
            NotSigned: the service did not send this, or not just now.
            Unavailable: what would prove that is not set.
        """
        ...
