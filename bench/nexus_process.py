"""Where a Nexus is started as its own process on a fresh folder, with an admin at hand."""

import asyncio
import contextlib
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2

from bench.processes import DEADLINE_S, ROOT, end, environment, free_port, start

GROUP = "bench"
_POLL_S = 0.05
_DONE_WITHIN_S = 300.0


@dataclass(frozen=True, kw_only=True)
class Nexus:
    """A running Nexus with one group, and what an admin does with it."""

    url: str
    http: httpx2.AsyncClient
    server: "Server"
    secret: str = field(repr=False)

    @property
    def pid(self) -> int:
        """The process id of the server, another one after a restart."""
        return self.server.pid

    @property
    def headers(self) -> Mapping[str, str]:
        """What a request of the admin carries."""
        return {"Authorization": self.http.headers["Authorization"]}

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        """POST and return the answer."""
        answer = await self.http.post(path, json=body)
        answer.raise_for_status()
        made: dict[str, Any] = answer.json()
        return made

    async def project(self, slug: str, policy: str) -> None:
        """Make a project."""
        await self.post(
            "/projects", groupId=GROUP, name=slug.title(), slug=slug, dispatchPolicy=policy
        )

    async def agents(self, count: int) -> list[dict[str, str]]:
        """Make agents and return what each one's client needs; Nexus makes the secrets."""
        return [await self._agent() for _ in range(count)]

    async def _agent(self) -> dict[str, str]:
        client_id = f"agent-{secrets.token_hex(4)}"
        made = await self.post(
            "/observer/agents", name=client_id, clientId=client_id, groupIds=[GROUP]
        )
        return {
            "nexus_url": self.url,
            "client_id": client_id,
            "client_secret": made["clientSecret"],
        }

    async def token(self, agent: Mapping[str, str]) -> str:
        """Return an access token of an agent."""
        names = ("client_id", "client_secret")
        made = await self.post("/auth/token", **{name: agent[name] for name in names})
        token: str = made["access_token"]
        return token

    async def done(self, project: str) -> int:
        """Return how many tasks of a project are recorded as DONE."""
        answer = await self.http.get(f"/projects/{project}/stats")
        answer.raise_for_status()
        done: int = answer.json()["tasks"]["done"]
        return done

    async def until_done(self, project: str, count: int) -> None:
        """Return once ``count`` tasks of a project are recorded as DONE."""
        async with asyncio.timeout(_DONE_WITHIN_S):
            while True:
                if await self.done(project) >= count:
                    return
                await asyncio.sleep(_POLL_S)


class Server:
    """The process ``nexus serve`` on a folder and a port of its own."""

    def __init__(self, folder: Path, **settings: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / "nexus.log"
        self._settings = settings
        serve = ["-m", "nexus.cli", "serve", "--port", str(port)]
        self._command = [sys.executable, *serve, "--data-dir", str(folder / "data")]
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start, and return once requests are answered."""
        with self._log.open("ab") as log:
            self._process = await start(
                self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=environment(**self._settings),
            )
        await self._until_live(self._process)

    async def kill(self) -> None:
        """Kill -9."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """Stop as an operator would."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            await end(self._process)

    async def _until_live(self, process: asyncio.subprocess.Process) -> None:
        async with asyncio.timeout(DEADLINE_S), httpx2.AsyncClient() as http:
            while process.returncode is None:
                with contextlib.suppress(httpx2.TransportError):
                    if (await http.get(self.url + "/livez")).is_success:
                        return
                await asyncio.sleep(_POLL_S)
        raise RuntimeError(f"nexus serve ended:\n{self._log.read_text()}")


@contextlib.asynccontextmanager
async def nexus(**settings: str) -> AsyncIterator[Nexus]:
    """Run ``nexus serve``, as an operator would, until the block ends."""
    secret = "obv_" + secrets.token_urlsafe(32)
    with TemporaryDirectory(prefix="oblivion-bench-") as folder:
        server = Server(Path(folder), NEXUS_ADMIN_CLIENT_SECRET=secret, **settings)
        try:
            await server.start()
            async with httpx2.AsyncClient(base_url=server.url, timeout=DEADLINE_S) as http:
                await _sign_in(http, secret)
                running = Nexus(url=server.url, http=http, server=server, secret=secret)
                await running.post("/groups", name=GROUP.title(), slug=GROUP)
                yield running
        finally:
            await server.stop()


async def _sign_in(http: httpx2.AsyncClient, secret: str) -> None:
    form = {"grant_type": "client_credentials", "client_id": "admin", "client_secret": secret}
    answer = await http.post("/auth/token", data=form)
    answer.raise_for_status()
    http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
