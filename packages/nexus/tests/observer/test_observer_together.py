"""People who ask for the same at once are answered by one look, each judged like anybody alone."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import httpx2
import pytest
import pytest_asyncio

from live_nexus import LiveNexus
from nexus.domain.errors import NotFound, Unauthenticated
from nexus.domain.principal import Principal
from nexus.observer.together import Together
from nexus.services import activity, identity
from nexus.services.deeds import Doer
from nexus.store.tx import Tx
from observer_scene import scene

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(kw_only=True)
class Counter:
    """Something to see, which says how often it was looked at; the first look waits."""

    go_on: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    seen: list[Principal] = field(default_factory=list)

    def look(self, tx: Tx, caller: Principal) -> tuple[int, int]:
        self.seen.append(caller)
        position = activity.position(tx, caller.tenant_id)
        self.begun.set()
        assert self.go_on.wait(10)
        return len(self.seen), position


async def doer(nexus: LiveNexus, client_id: str) -> Doer:
    client = await nexus.serving.nexus.platform.store.read(identity.client, client_id)
    assert client is not None
    return Doer(claimed=identity.admitted(client), requires=Principal.require_viewer)


@pytest_asyncio.fixture(loop_scope="module")
async def counter() -> AsyncIterator[Counter]:
    made = Counter()
    yield made
    made.go_on.set()


@pytest_asyncio.fixture(loop_scope="module")
async def together(nexus: LiveNexus) -> Together:
    return Together(nexus.serving.nexus.platform.store)


async def test_who_asks_during_a_look_is_answered_by_one_that_begins_after(
    nexus: LiveNexus, together: Together, counter: Counter
) -> None:
    admin = await doer(nexus, "admin")
    first = asyncio.create_task(together.look("page", admin, counter.look))
    await asyncio.to_thread(counter.begun.wait, 10)
    await nexus.admin.task("Made during the look")
    others = [asyncio.create_task(together.look("page", admin, counter.look)) for _ in range(9)]
    await asyncio.sleep(0)
    counter.go_on.set()
    number, old = await first
    assert number == 1
    answers = await asyncio.gather(*others)
    assert {number for number, _ in answers} == {2}
    assert all(position > old for _, position in answers)
    assert len(counter.seen) == 2
    number, _ = await together.look("page", admin, counter.look)
    assert number == 3


async def test_each_is_judged_alone_and_roles_do_not_see_each_others(
    nexus: LiveNexus, together: Together, counter: Counter, viewer_id: str
) -> None:
    admin, viewer = await doer(nexus, "admin"), await doer(nexus, viewer_id)
    signed_out = replace(admin, claimed=replace(admin.claimed, epoch=99))
    counter.go_on.set()
    asked = [
        together.look("page", who, counter.look) for who in (signed_out, viewer, admin, viewer)
    ]
    refused, *answers = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(refused, Unauthenticated)
    assert [caller.is_admin for caller in counter.seen] == [False, True]
    assert [answer[0] for answer in answers if isinstance(answer, tuple)] == [1, 2, 1]


async def test_what_goes_wrong_is_told_to_all_and_the_next_look_is_a_new_one(
    nexus: LiveNexus, together: Together, counter: Counter
) -> None:
    def fail(tx: Tx, caller: Principal) -> None:
        raise KeyError("a mistake")

    def miss(tx: Tx, caller: Principal) -> None:
        raise NotFound("nothing there")

    admin = await doer(nexus, "admin")
    for act, kind in ((fail, KeyError), (miss, NotFound)):
        asked = [together.look("page", admin, act) for _ in range(3)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(one) for one in found] == [kind] * 3
    counter.go_on.set()
    assert (await together.look("page", admin, counter.look))[0] == 1


async def test_who_leaves_takes_the_answer_from_nobody(
    nexus: LiveNexus, together: Together, counter: Counter
) -> None:
    admin = await doer(nexus, "admin")
    first, second = (
        asyncio.create_task(together.look("page", admin, counter.look)) for _ in range(2)
    )
    await asyncio.to_thread(counter.begun.wait, 10)
    first.cancel()
    counter.go_on.set()
    assert (await second)[0] == 1
    assert first.cancelled()


async def test_forms_of_one_look_are_each_pages_own(
    nexus: LiveNexus, admin: httpx2.AsyncClient
) -> None:
    async with scene(nexus, "asker") as team:
        await team.give("Ask me")
        held = await team.held("asker")
        await team.update("asker", held, "IN_PROGRESS")
        await team.update("asker", held, "BLOCKED_ON_HUMAN")
    pages = await asyncio.gather(*(admin.get("/") for _ in range(3)))
    found = [re.findall(r'name="once" value="([0-9a-f]{32})"', page.text) for page in pages]
    assert all(found), pages[0].text
    every = [key for keys in found for key in keys]
    assert len(set(every)) == len(every)
