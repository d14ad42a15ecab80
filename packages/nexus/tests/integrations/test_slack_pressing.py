"""A press does what its button says to what is the presser's own, and to nothing else."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from letters import all_of
from nexus.bus import LocalBus
from nexus.integrations.slack import boxes
from nexus.integrations.slack.client import SlackApi
from nexus.integrations.slack.people import People
from nexus.integrations.slack.pressing import Pressing
from nexus.integrations.worker import Undeliverable
from nexus.services import tenants, threads
from nexus.services.platform import Platform
from nexus.services.signing import Keyring
from nexus.services.tenants import CreateTenant
from nexus.services.threads import Author, Manner
from nexus.services.tokens import Tokens
from nexus.services.views import task_row
from nexus.store.opening import open_unit_of_work
from nexus.store.tx import Row, Tx
from oblivion.protocol import MessageKind, Task
from service_world import ServiceWorld


class Members(People):
    """A workspace in which everybody may press buttons."""

    async def may_act(self, user_id: str) -> Row:
        return {"id": user_id, "name": "anna", "email": None, "may_act": True}


class NoAnchor:
    """Holds on to nothing."""

    async def hold(self, end: object) -> None:
        return None


@contextlib.asynccontextmanager
async def opened(world: ServiceWorld) -> AsyncIterator[Platform]:
    """Have the world's store opened as a node opens it, until the block ends."""
    bus = LocalBus()
    store = open_unit_of_work(world.database, bus.wake, world.time)
    try:
        yield Platform(
            store=store,
            bus=bus,
            tokens=Tokens(Keyring.of(b"k" * 32)),
            pepper=b"pepper",
            clock=world.time,
            anchor=NoAnchor(),
        )
    finally:
        await store.close()


def pressing(platform: Platform) -> Pressing:
    return Pressing(platform, Members(platform, SlackApi("xoxb-1", "http://nowhere"), "T1"), ())


def press(tenant_id: str, action_id: str, value: str, **changes: Any) -> Row:
    payload = {
        "user": {"id": "U1"},
        "container": {"channel_id": "C1", "message_ts": "1.1"},
        "response_url": "http://127.0.0.1:1/actions",
        "actions": [{"action_id": action_id, "value": value, "action_ts": "2.2"}],
        **changes,
    }
    return {"tenant_id": tenant_id, "payload": payload}


def asked(world: ServiceWorld, task: Task) -> str:
    """Have an agent ask something in a task's thread; return the question's id."""

    def ask(tx: Tx) -> str:
        author = Author(id="coder", name="Coder", is_human=False)
        manner = Manner(kind=MessageKind.QUESTION, choices=("yes", "no"))
        return threads.post(tx, task_row(tx, task.id), author, "Deploy?", manner).id

    return world.run(ask)


async def test_a_question_is_answered_by_its_own_tenant_alone(world: ServiceWorld) -> None:
    task = world.task()
    question = asked(world, task)
    wish = CreateTenant(slug="other", name="Other", admin_client_id="other-admin")
    other = world.run(tenants.create, wish, "hash")
    async with opened(world) as platform:
        for tenant_id, answers in ((other, []), (world.admin.tenant_id, ["yes"])):
            act = press(tenant_id, "oblivion:choose:0", f"{question}:0")
            await platform.store.write(await pressing(platform)(act))
            thread = await platform.store.read(threads.page, task.id, limit=10, after=0)
            assert [one.text for one in thread.messages[1:]] == answers
        told = await platform.store.read(all_of, boxes.OUT)
    (refusal,) = [row for row in told.values() if row["kind"] == "whisper"]
    assert "no such question" in refusal["payload"]["text"]


@pytest.mark.parametrize(
    "changes",
    [
        {"actions": ["broken"]},
        {"actions": [{"action_id": "oblivion:cancel", "value": "t", "action_ts": 7}]},
        {"actions": {}},
        {"user": None},
        {"user": {"id": "x" * 500}},
        {"user": "U1"},
        {"container": "C1"},
        {"container": {"channel_id": "C1"}},
        {"container": {"channel_id": "C1", "message_ts": "yesterday"}},
        {"container": {"channel_id": "c" * 200, "message_ts": "1.1"}},
    ],
)
async def test_a_press_without_what_belongs_into_it_ends_at_once(
    world: ServiceWorld, changes: dict[str, Any]
) -> None:
    act = press(world.admin.tenant_id, "oblivion:cancel", world.task().id, **changes)
    async with opened(world) as platform:
        with pytest.raises(Undeliverable, match="a field is missing or has another shape"):
            await pressing(platform)(act)
