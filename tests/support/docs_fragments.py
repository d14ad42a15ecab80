"""Where the Python of a page is run: programs as processes, fragments with a client at hand."""

import asyncio
import contextlib
import inspect
import json
import logging
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from unittest.mock import patch

from code_blocks import CodeBlock
from docs_terminals import Desk
from eventually import eventually
from live_nexus import AGENT_SECRET, Admin
from oblivion import OblivionClient
from oblivion.protocol import FINAL_STATUSES

TEAM = "readers"
AGENT = "reader"


class Fragments:
    """Runs a page's Python against the Nexus of its desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._agents: set[str] = set()

    async def run(self, block: CodeBlock) -> None:
        """Run one block as far as it goes, and see it do what it is for."""
        async with self._admin() as admin:
            if block.is_program:
                await self._program(admin, block)
            else:
                await self._fragment(admin, block)

    @contextlib.asynccontextmanager
    async def _admin(self) -> AsyncIterator[Admin]:
        kept = json.loads((self._desk.folder / "nexus-data" / "admin-credentials.json").read_text())
        async with Admin(self._desk.url, secret=kept["clientSecret"]) as admin:
            yield admin

    async def _agent(self, admin: Admin, client_id: str) -> dict[str, str]:
        """Have an agent of the readers' team, and return its environment."""
        if not self._agents:
            await admin.team(TEAM)
            await admin.project("race", group=TEAM, policy="claim")
        if client_id not in self._agents:
            await admin.agent(client_id, groups=(TEAM,))
            self._agents.add(client_id)
        return {
            "OBLIVION_NEXUS_URL": self._desk.url,
            "OBLIVION_CLIENT_ID": client_id,
            "OBLIVION_CLIENT_SECRET": AGENT_SECRET,
        }

    async def _program(self, admin: Admin, block: CodeBlock) -> None:
        """A whole program connects, does a task, and ends when it is asked to."""
        named = re.search(r'client_id="([^"]+)"', block.text)
        client_id = named[1] if named else AGENT
        environment = await self._agent(admin, client_id)
        script = self._desk.folder / "program.py"
        script.write_text(self._text(block))
        process = await asyncio.create_subprocess_exec(
            sys.executable, script, env=self._desk.environment(**environment)
        )
        try:
            task = await admin.task("Try the program", project=TEAM, description="one two")
            await admin.until(task["id"], "DONE")
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(15):
                code = await process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        assert code == (0 if "client.run()" in block.text else -signal.SIGTERM), code

    async def _fragment(self, admin: Admin, block: CodeBlock) -> None:
        environment = await self._agent(admin, AGENT)
        with patch.dict(os.environ, environment), untouched_logging():
            given = OblivionClient.from_env()
            async with contextlib.AsyncExitStack() as stack:
                if awaits(block) and "async with client" not in block.text:
                    await stack.enter_async_context(given)
                names = await self._snippet(block).run(
                    {"client": given, "OblivionClient": OblivionClient}
                )
            if "@client.on_" in block.text:
                await self._serve(admin, names["client"], block)

    async def _serve(self, admin: Admin, client: OblivionClient, block: CodeBlock) -> None:
        """Give the fragment's handlers a task, and a person who answers yes; see it done."""
        project = "race" if "on_task_available" in block.text else TEAM
        async with client:
            task = await admin.task("Try the handlers", project=project)
            answered = False

            async def ended() -> bool:
                nonlocal answered
                now = await admin.get(f"/tasks/{task['id']}")
                asked = await admin.get(f"/tasks/{task['id']}/slack-thread")
                if now["status"] == "BLOCKED_ON_HUMAN" and asked["messages"] and not answered:
                    answered = True
                    await admin.say(task["id"], "yes")
                task.update(now)
                return task["status"] in FINAL_STATUSES

            await eventually(ended, what=f"{block.page}:{block.line} finishes its task")
            assert task["status"] == "DONE", f"{block.page}:{block.line}: {task}"

    def _text(self, block: CodeBlock) -> str:
        text = block.text.replace("http://localhost:3000", self._desk.url)
        return re.sub(r'client_secret="[^"]*"', f'client_secret="{AGENT_SECRET}"', text)

    def _snippet(self, block: CodeBlock) -> CodeBlock:
        return CodeBlock(
            page=block.page,
            line=block.line,
            language=block.language,
            info=block.info,
            text=self._text(block),
        )


def awaits(block: CodeBlock) -> bool:
    """Say whether the fragment awaits something at its top."""
    return bool(block.compiled().co_flags & inspect.CO_COROUTINE)


@contextlib.contextmanager
def untouched_logging() -> Iterator[None]:
    """Let a fragment configure logging without lasting effect."""
    loggers = (logging.getLogger(), logging.getLogger("oblivion"))
    before = [(logger, logger.handlers[:], logger.level) for logger in loggers]
    try:
        yield
    finally:
        for logger, handlers, level in before:
            logger.handlers[:] = handlers
            logger.setLevel(level)
