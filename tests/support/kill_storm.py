"""Where agents work and people ask while Nexus dies again and again, all from one seed."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from keyed_submitter import Submitter
from kill_checker import FINAL, History
from kill_journal import Entry, Journal, What
from kill_remains import is_settled, read_stored
from kill_server import MortalNexus, Zygote, mortal_nexus
from live_nexus import AGENT_SECRET, Admin
from nexus.failpoints import NAMES
from nexus.keys import load_signing_keys
from nexus.services.tokens import Tokens
from nexus.store.clock import wall_clock
from sdk_agent import SdkAgent
from socket_agent import token_for
from wire_agent import USUAL, Habits, WireAgent

TIMES = (1, 1, 2, 3, 5, 8, 13, 21)
"""How often a point is passed before it kills."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What happens in a storm; the same plan draws the same kills."""

    seed: int
    kills: int
    policy: str = "assign"
    sdk: bool = False
    """Whether the agents are written with the SDK; else they speak the bare protocol."""
    agents: int = 3
    submitters: int = 2
    reborn: float = 0.05
    """The share of lives in which an agent's process is replaced."""
    habits: Habits = USUAL
    fault: str | None = None
    """The name of a planted fault."""
    fault_from_the_start: str | None = None
    """The name of the one that is planted while the team is made, before the first kill."""
    patience_s: float = 120.0
    """After which nothing goes on any more."""
    points: Sequence[str | None] = (*NAMES, None, None)
    """Where to kill; None: at a moment that has nothing to do with what the server does."""
    latest: int = 40
    """The most things that are noted before a kill at such a moment."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Of the Nexus that dies."""
    after_death: Callable[[Path], None] = lambda data_dir: None
    """What becomes of the data folder of a dead Nexus."""


class Agent(Protocol):
    """Whoever works while Nexus dies."""

    name: str

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do or to say any more."""
        ...

    async def live(self, url: str, token: str, up: asyncio.Event) -> None:
        """Be connected whenever ``up`` is set, until cancelled."""
        ...

    def be_reborn(self) -> None:
        """Replace the agent's process by one that remembers nothing."""
        ...

    async def acknowledge(self) -> None:
        """Acknowledge what was put off."""
        ...


@dataclass(kw_only=True)
class Storm:
    """A Nexus that dies, with everybody who talks to it."""

    plan: Plan
    nexus: MortalNexus
    journal: Journal
    rng: random.Random
    agents: Sequence[Agent]
    submitter: Submitter

    async def kill(self) -> bool:
        """Live one life to its end; say whether it came to it."""
        point = self.rng.choice(self.plan.points)
        times = self.rng.choice(TIMES)
        name = None if point is None else f"{point}:{times}"
        self.journal.life += 1
        await self.nexus.begin(name)
        try:
            async with asyncio.timeout(self.plan.patience_s):
                await self._die(point)
        except TimeoutError:
            self.journal.note("nexus", What.STUCK, text=f"{name} was never reached")
            await self.nexus.kill()
            return False
        self.journal.note("nexus", What.KILLED, text=name)
        self.plan.after_death(self.nexus.data_dir)
        return True

    async def _die(self, point: str | None) -> None:
        if self.rng.random() < self.plan.reborn:
            await self._some_notes(10)
            self.rng.choice(self.agents).be_reborn()
        if point is not None:
            await self.nexus.end_at_failpoint()
        else:
            await self._any_moment()
            await self.nexus.kill()

    async def _any_moment(self) -> None:
        if self.rng.random() < 0.8:
            await self._some_notes(self.plan.latest)
        with contextlib.suppress(TimeoutError):  # in the middle of whatever follows
            async with asyncio.timeout(self.rng.random() * 0.01):
                await self.nexus.end()

    async def _some_notes(self, most: int) -> None:
        """Wait until a few more things are noted, or the life has ended."""
        first = (self.journal.grown(self.rng.randint(1, most)), self.nexus.end())
        waits = [asyncio.create_task(wait) for wait in first]
        done, others = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in others:
            wait.cancel()
        for wait in done:
            wait.result()

    async def settle(self) -> None:
        """Live a last life until all work has ended, nobody has more to say, and all was heard."""
        self.submitter.most_open = 0
        self.journal.life += 1
        await self.nexus.start()
        try:
            async with asyncio.timeout(self.plan.patience_s):
                while not await self._all_ended():  # noqa: ASYNC110 - lives in another process
                    await asyncio.sleep(0.02)
        except TimeoutError:
            waiting = [agent.name for agent in self.agents if not agent.idle]
            self.journal.note("nexus", What.STUCK, text=f"work is left; busy: {waiting}")
        await self.nexus.kill()

    async def _all_ended(self) -> bool:
        for agent in self.agents:
            await agent.acknowledge()
        is_quiet = self.submitter.asking == 0 and all(agent.idle for agent in self.agents)
        return is_quiet and is_settled(self.nexus.database)

    def follow(self, entry: Entry) -> None:
        """Let people ask for more where something has ended."""
        told = entry.digest or ""
        ended = any(f'"status":"{status}"' in told for status in FINAL)
        over = entry.what is What.REPLIED and (ended or entry.text == "lease_lost")
        if entry.task is not None and (over or entry.what is What.FINISHED):
            self.submitter.ended(entry.task)


async def run_storm(plan: Plan, zygote: Zygote, folder: Path) -> History:
    """Kill Nexus as often as the plan says, let everything end, and return what happened."""
    print(f"storm: seed {plan.seed}, {plan.kills} kills, journal in {folder}")
    async with _storm(plan, zygote, folder) as storm:
        for _ in range(plan.kills):
            if not await storm.kill():
                break
        await storm.settle()
    if plan.fault is None:
        assert "Traceback" not in storm.nexus.log.read_text(), storm.nexus.log
    return History(
        entries=storm.journal.entries,
        stored=read_stored(storm.nexus.database),
        unseen=frozenset(agent.name for agent in storm.agents if plan.sdk),
    )


def _agent(plan: Plan, name: str, journal: Journal, rng: random.Random) -> Agent:
    if plan.sdk:
        return SdkAgent(name, journal, rng)
    return WireAgent(name, journal, rng, habits=plan.habits)


@contextlib.asynccontextmanager
async def _storm(plan: Plan, zygote: Zygote, folder: Path) -> AsyncIterator[Storm]:
    journal, rng = Journal(path=folder / "journal.jsonl"), random.Random(plan.seed)
    with contextlib.closing(journal):
        async with mortal_nexus(zygote, folder, **plan.settings) as nexus:
            nexus.fault = plan.fault_from_the_start
            await nexus.start()
            names = [f"agent-{number}" for number in range(plan.agents)]
            token = _for_a_day(await _team(nexus.url, plan.policy, names), nexus.data_dir)
            agents = [_agent(plan, name, journal, random.Random(rng.random())) for name in names]
            tokens = [
                _for_a_day(await token_for(nexus.url, name, AGENT_SECRET), nexus.data_dir)
                for name in names
            ]
            submitter = Submitter(
                url=nexus.url,
                token=token,
                journal=journal,
                up=nexus.up,
                rng=random.Random(rng.random()),
            )
            storm = Storm(
                plan=plan,
                nexus=nexus,
                journal=journal,
                rng=rng,
                agents=agents,
                submitter=submitter,
            )
            journal.followers.append(storm.follow)
            await nexus.kill()
            nexus.fault = plan.fault
            async with asyncio.TaskGroup() as group:
                lives = [
                    *(a.live(nexus.url, t, nexus.up) for a, t in zip(agents, tokens, strict=True)),
                    *(submitter.work(f"person-{number}") for number in range(plan.submitters)),
                ]
                running = [group.create_task(life) for life in lives]
                yield storm
                for task in running:
                    task.cancel()


def _for_a_day(token: str, data_dir: Path) -> str:
    """Return a token of the same caller that outlasts a storm on a slow machine."""
    tokens = Tokens(load_signing_keys(data_dir), lifetime_s=24 * 3600)
    return tokens.issue(tokens.read(token, wall_clock()), wall_clock())


async def _team(url: str, policy: str, names: Sequence[str]) -> str:
    async with Admin(url) as admin:
        await admin.team(policy=policy)
        for name in names:
            await admin.agent(name)
        return str(admin.http.headers["Authorization"]).removeprefix("Bearer ")
