"""Where it is decided who gets what people write while an agent works: ``on_busy``."""

import asyncio
from collections.abc import Callable

from oblivion._acks import Acknowledger
from oblivion._busy import BusyPolicy
from oblivion._calls import Calls
from oblivion._logging import get_log
from oblivion._mail import Mail, Message
from oblivion.errors import NotConnectedError, OblivionError, SessionEnded
from oblivion.protocol import EventType, PostMessage, PostMessageAck

KEPT_OPEN = 16
"""So many unread messages of a task are left unacknowledged; Nexus has few events under way."""

BUSY = (
    "I am at work on this task and read no messages until I am done. "
    "Please write again then, or cancel the task if it must stop."
)
LATE = "I had ended my work on this task when this message reached me, so I did not read it."

_log = get_log("tasks")


class Steering:
    """Hands the messages of people to the handler at work, or has them told that nobody reads.

    What it does not take is for ``on_context_update``, and so is what a handler left unread.
    Without that handler, people are told.
    """

    def __init__(
        self,
        policy: BusyPolicy,
        calls: Calls,
        acks: Acknowledger,
        bound: int,
        to_handler: Callable[[Message], None] | None,
    ) -> None:
        self.policy: BusyPolicy = policy
        self._calls = calls
        self._acks = acks
        self._bound = bound
        self._to_handler = to_handler
        self._telling: set[asyncio.Task[None]] = set()

    def open(self) -> Mail:
        """Return the mail of a new attempt."""
        return Mail(self._acks.finish)

    def take(self, message: Message, mail: Mail) -> bool:
        """Take a message for the attempt at work; False if it is for ``on_context_update``."""
        payload, receipt = message
        if self.policy == "queue" or not payload.is_human:
            return False
        if payload.deleted and self.policy != "steer":
            return False
        if self.policy == "reject" or len(mail) >= self._bound:
            self._refuse(message, mail)
            return True
        mail.put(message)
        if len(mail) > KEPT_OPEN:
            self._acks.finish(receipt)
        return True

    def late(self, message: Message) -> bool:
        """Take a message that no attempt will read; False if it is for ``on_context_update``."""
        payload, _ = message
        if self.policy == "queue" or not payload.is_human or self._to_handler is not None:
            return False
        self._tell(message, LATE)
        return True

    def close(self, mail: Mail, *, finished: bool) -> None:
        """End an attempt; with its task ``finished``, the next one will not read what is left."""
        for message in mail.close():
            if self._to_handler is not None:
                self._to_handler(message)
            elif finished:
                self._tell(message, LATE)
            else:
                self._acks.finish(message[1])

    def _refuse(self, message: Message, mail: Mail) -> None:
        payload, receipt = message
        if payload.author_id in mail.told:
            self._acks.finish(receipt)
            return
        mail.told.add(payload.author_id)
        self._tell(message, BUSY)

    def _tell(self, message: Message, text: str) -> None:
        telling = asyncio.create_task(self._post(message, text), name="oblivion-notice")
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def _post(self, message: Message, text: str) -> None:
        """Say so in the thread, under an id that makes it one notice however often it is sent."""
        payload, receipt = message
        named = f"on_busy:{payload.task_id}:{payload.message_ts}"
        notice = PostMessage(task_id=payload.task_id, text=text, client_message_id=named)
        try:
            await self._calls.call(EventType.POST_MESSAGE, notice, PostMessageAck)
        except (SessionEnded, NotConnectedError):
            self._acks.forget(receipt)
        except OblivionError as error:
            _log.warning("notice_failed", task_id=payload.task_id, reason=str(error))
            self._acks.finish(receipt)
        else:
            _log.info("message_unread", task_id=payload.task_id, author=payload.author)
            self._acks.finish(receipt)
