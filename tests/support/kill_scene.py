"""Where a test kills Nexus by its own script: one person, some agents, and all that they note."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2

from kill_checker import History, prove
from kill_journal import Entry, Journal, What
from kill_remains import read_stored
from kill_server import MortalNexus, Zygote, mortal_nexus
from live_nexus import AGENT_SECRET, Admin
from wire_agent import Habits, WireAgent

PLAIN = Habits(fails=0, gives_up=0, hands_back=0, speaks=0, acks_late=0, repeats_itself=0)
TASKS = "/observer/tasks"
DEADLINE_S = 60.0


@dataclass(kw_only=True)
class Scene:
    """A Nexus that can be killed, a person with a token, and agents that are not there yet."""

    nexus: MortalNexus
    journal: Journal
    person: httpx2.AsyncClient
    agents: list[WireAgent]
    tokens: dict[str, str]

    async def ask(self, key: str = "the only task") -> httpx2.Response | None:
        """Ask once for a task; None when Nexus died over it."""
        self.journal.note("person", What.ASKED, id=key, kind=TASKS)
        try:
            answer = await self.person.post(
                TASKS,
                json={"projectId": "team", "title": key},
                headers={"Idempotency-Key": key},
            )
        except httpx2.TransportError:
            return None
        assert answer.status_code == 201, answer.text
        made = answer.json()["id"]
        self.journal.note(
            "person", What.ANSWERED, id=key, kind=TASKS, task=made, status="201", digest=made
        )
        return answer

    async def live(self, failpoint: str | None = None, *, armed_by: str | None = None) -> None:
        """Begin a life in which requests are answered."""
        self.journal.life += 1
        await self.nexus.start(failpoint, armed_by=armed_by)

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Have the agents work until the block ends."""
        url, up = self.nexus.url, self.nexus.up
        lives = [
            asyncio.create_task(agent.live(url, self.tokens[agent.name], up))
            for agent in self.agents
        ]
        try:
            yield
        finally:
            for life in lives:
                life.cancel()
            await asyncio.gather(*lives, return_exceptions=True)

    async def until(self, what: What, *, count: int = 1, **facts: object) -> Entry:
        """Return the ``count``-th entry like this, once it is there."""

        found: list[Entry] = []
        seen = 0
        async with asyncio.timeout(DEADLINE_S):
            while True:
                entries = self.journal.entries[seen:]
                seen += len(entries)
                found += [entry for entry in entries if _is_like(entry, what, facts)]
                if len(found) >= count:
                    return found[count - 1]
                await self.journal.grown(1)

    def received(self, *, life: int) -> list[Entry]:
        """Return the events that the agent was sent in a life."""
        return [entry for entry in self.journal.of(What.RECEIVED) if entry.life == life]

    async def prove(self) -> None:
        """End this life, and prove that nothing was lost and nothing was done twice."""
        await self.nexus.kill()
        prove(History(entries=self.journal.entries, stored=read_stored(self.nexus.database)))

    async def prove_done(self) -> None:
        """Wait for the end of the only task, and prove that it was worked on once."""
        done = await self.until(What.REPLIED, status="DONE")
        await self.until(What.ACKED)
        await self.prove()
        assert done.attempt == 1
        assert len(list(self.journal.of(What.STARTED))) == 1


async def _token(http: httpx2.AsyncClient, name: str) -> str:
    wish = {"grant_type": "client_credentials", "client_id": name, "client_secret": AGENT_SECRET}
    answer = await http.post("/auth/token", data=wish)
    return str(answer.json()["access_token"])


def _is_like(entry: Entry, what: What, facts: Mapping[str, object]) -> bool:
    return entry.what is what and all(getattr(entry, name) == v for name, v in facts.items())


@contextlib.asynccontextmanager
async def open_scene(
    zygote: Zygote, folder: Path, *, agents: int = 1, **settings: str
) -> AsyncIterator[Scene]:
    """Make a scene with Nexus dead: each test begins the lives it needs."""
    journal = Journal(path=folder / "journal.jsonl")
    names = [f"agent-{number}" for number in range(agents)]
    async with mortal_nexus(zygote, folder, **settings) as nexus:
        await nexus.start()
        async with Admin(nexus.url) as admin:
            await admin.team()
            for name in names:
                await admin.agent(name)
            headers = {"Authorization": admin.http.headers["Authorization"]}
            tokens = {name: await _token(admin.http, name) for name in names}
        await nexus.kill()
        async with httpx2.AsyncClient(
            base_url=nexus.url, headers=headers, timeout=DEADLINE_S
        ) as http:
            yield Scene(
                nexus=nexus,
                journal=journal,
                person=http,
                agents=[
                    WireAgent(name, journal, random.Random(name), habits=PLAIN, slots=1)
                    for name in names
                ],
                tokens=tokens,
            )
    journal.close()
