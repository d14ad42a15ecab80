"""Where tests get a real Nexus: in this process on a free port, or as a process of its own."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypedDict

import httpx2

from eventually import eventually
from nexus.server import Serving, serve
from nexus.settings import load_settings
from nexus.store.clock import wall_clock

ADMIN_SECRET = "obv_" + "admin-secret-of-the-tests".ljust(43, "-")
AGENT_SECRET = "obv_" + "agent-secret-of-the-tests".ljust(43, "-")
"""In the form of secrets that Nexus makes, which are checked quickly."""
DEADLINE_S = 15.0
START_DEADLINE_S = 45.0
"""A process loads for two seconds, and on a machine that is busy with others for far longer."""


class Databases:
    """Which database a server in this process gets that was not told which."""

    of: Callable[[Path], str] | None = None
    """Gives a data folder its PostgreSQL; without it SQLite lies in the folder."""


class Admin:
    """What an admin does over HTTP; every answer is checked."""

    def __init__(self, url: str, *, client_id: str = "admin", secret: str = ADMIN_SECRET) -> None:
        self.http = httpx2.AsyncClient(base_url=url, timeout=DEADLINE_S)
        self._credentials = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": secret,
        }

    async def __aenter__(self) -> Self:
        answer = await self.http.post("/auth/token", data=self._credentials)
        answer.raise_for_status()
        self.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def get(self, path: str, **params: Any) -> Any:
        """GET and return the JSON; a refusal fails the test with its text."""
        return self._checked(await self.http.get(path, params=params))

    async def post(self, path: str, **body: Any) -> Any:
        """POST and return the JSON; a refusal fails the test with its text."""
        return self._checked(await self.http.post(path, json=body))

    async def patch(self, path: str, **body: Any) -> Any:
        """PATCH and return the JSON; a refusal fails the test with its text."""
        return self._checked(await self.http.patch(path, json=body))

    @staticmethod
    def _checked(answer: httpx2.Response) -> Any:
        assert answer.is_success, f"{answer.status_code}: {answer.text}"
        return answer.json() if answer.content else None

    async def team(self, slug: str = "team", *, policy: str = "assign") -> None:
        """Make a group and a project of the same slug."""
        await self.post("/groups", name=slug.title(), slug=slug)
        await self.project(slug, group=slug, policy=policy)

    async def project(self, slug: str, *, group: str, policy: str = "assign") -> Any:
        """Make a project."""
        return await self.post(
            "/projects", groupId=group, name=slug.title(), slug=slug, dispatchPolicy=policy
        )

    async def agent(self, client_id: str, *, groups: tuple[str, ...] = ("team",)) -> Any:
        """Make an approved agent with the secret of the tests."""
        return await self.post(
            "/observer/agents",
            name=client_id.replace("-", " ").title(),
            clientId=client_id,
            clientSecret=AGENT_SECRET,
            groupIds=list(groups),
        )

    async def task(self, title: str = "A task", *, project: str = "team", **more: Any) -> Any:
        """Make a task."""
        return await self.post("/observer/tasks", projectId=project, title=title, **more)

    async def say(self, task_id: str, text: str, *, author: str = "Ann") -> Any:
        """Speak in a task's thread as a person."""
        return await self.post(f"/observer/tasks/{task_id}/messages", text=text, author=author)

    async def until(self, task_id: str, status: str) -> dict[str, Any]:
        """Return the task once it has the status; fails after the deadline."""
        task: dict[str, Any] = {}

        async def there() -> bool:
            task.update(await self.get(f"/tasks/{task_id}"))
            return bool(task["status"] == status)

        await eventually(there, what=f"task {task_id} is {status}")
        return task


class AgentSettings(TypedDict):
    """The required arguments of an SDK client."""

    nexus_url: str
    client_id: str
    client_secret: str


@dataclass(frozen=True, kw_only=True)
class LiveNexus:
    """A Nexus in this process, with an admin at hand."""

    url: str
    serving: Serving
    admin: Admin

    def agent_settings(self, client_id: str) -> AgentSettings:
        """Return what an SDK client needs to connect as this agent."""
        return {"nexus_url": self.url, "client_id": client_id, "client_secret": AGENT_SECRET}


@contextlib.asynccontextmanager
async def live_nexus(
    data_dir: Path, *, clock: Callable[[], int] = wall_clock, **options: Any
) -> AsyncIterator[LiveNexus]:
    """Serve on a free port until the block ends."""
    options = {"port": 0, "admin_client_secret": ADMIN_SECRET, **options}
    if Databases.of is not None:
        options.setdefault("database_url", Databases.of(data_dir))
    settings = load_settings(data_dir=data_dir, **options)
    started: asyncio.Future[Serving] = asyncio.get_running_loop().create_future()
    server = asyncio.create_task(serve(settings, started.set_result, clock=clock))
    first: set[asyncio.Future[Any]] = {server, started}
    await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    if server.done():
        await server
    serving = await started
    try:
        async with Admin(serving.url) as admin:
            yield LiveNexus(url=serving.url, serving=serving, admin=admin)
    finally:
        serving.stop()
        async with asyncio.timeout(DEADLINE_S):
            await server


class NexusProcess:
    """``nexus serve`` as its own process on a fixed port, which can be killed and started again."""

    def __init__(self, data_dir: Path, port: int, **environment: str) -> None:
        self.data_dir = data_dir
        self.port = port
        self.url = f"http://localhost:{port}"
        self._environment = {
            **os.environ,
            "NEXUS_ADMIN_CLIENT_SECRET": ADMIN_SECRET,
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The id of the running process."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start the process and wait until it answers."""
        command = [sys.executable, "-m", "nexus.cli", "serve", "--port", str(self.port)]
        command += ["--data-dir", str(self.data_dir)]
        log = (self.data_dir.parent / "nexus.log").open("ab")
        with log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
                command, env=self._environment, stdout=log, stderr=log
            )
        await self._until_live()

    async def _until_live(self) -> None:
        async with asyncio.timeout(START_DEADLINE_S), httpx2.AsyncClient() as http:
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    if (await http.get(self.url + "/livez")).is_success:
                        return
                assert self._process is not None
                assert self._process.poll() is None, "nexus serve ended"
                await asyncio.sleep(0.05)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        async with asyncio.timeout(DEADLINE_S):
            return await asyncio.to_thread(self._process.wait)

    async def kill(self) -> None:
        """End the process without warning, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)


@contextlib.asynccontextmanager
async def nexus_process(
    data_dir: Path, port: int, **environment: str
) -> AsyncIterator[NexusProcess]:
    """Run ``nexus serve`` until the block ends."""
    process = NexusProcess(data_dir, port, **environment)
    try:
        await process.start()
        yield process
    finally:
        await process.kill()


def admin_credentials(data_dir: Path) -> dict[str, str]:
    """Return what a first start kept for the admin."""
    kept: dict[str, str] = json.loads((data_dir / "admin-credentials.json").read_text())
    return kept
