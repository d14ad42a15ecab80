"""Where somebody answers the agents' questions: played by the demo, or you, with ``--ask``."""

import asyncio

from nexus.demo.api import Api
from nexus.demo.board import Job
from nexus.demo.keyboard import Keyboard

PLAYED = "Robin"
YOU = "You"
_PAUSE_S = 1.5
"""What the played person takes to read a question, so that the audience can read it too."""


class Person:
    """Answers one question after the other; with a ``keyboard``, it is you who does."""

    def __init__(self, api: Api, keyboard: Keyboard | None) -> None:
        self._api = api
        self._keyboard = keyboard
        self._turn = asyncio.Lock()

    async def answer(self, task_id: str, job: Job) -> None:
        """Answer the open question of a task in its thread."""
        async with self._turn:
            typed = await self._typed(job)
            if not typed:
                await asyncio.sleep(_PAUSE_S)
            said = {"text": typed or job.answer, "author": YOU if typed else PLAYED}
            await self._api.post(f"/observer/tasks/{task_id}/messages", **said)

    async def _typed(self, job: Job) -> str:
        """Return what you type; nothing when you leave it to the demo."""
        if self._keyboard is None:
            return ""
        prompt = f"Your answer to #{job.number} (Enter alone answers {job.answer!r}): "
        return (await self._keyboard.line(prompt)).strip()
