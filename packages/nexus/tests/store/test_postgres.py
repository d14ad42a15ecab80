"""What only the shared database does: it is reached over a network, by many at once."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa

from eventually import eventually
from nexus.domain.errors import Unavailable
from nexus.services import activity, calls, idempotency, installation
from nexus.services.idempotency import Answer, KeyedRequest
from nexus.store import (
    Database,
    DatabaseUnusable,
    Tx,
    open_database,
    open_unit_of_work,
    postgres_link,
    postgres_unit_of_work,
)
from nexus.store import postgres as postgres_module
from nexus.store.postgres_unit_of_work import PostgresUnitOfWork
from nexus.store.schema import meta
from postgres_proxy import Cut, PostgresProxy, postgres_proxy
from postgres_server import PostgresServer


@contextlib.asynccontextmanager
async def opened(url: str, published: list[str] | None = None) -> AsyncIterator[PostgresUnitOfWork]:
    database = open_database(url)
    store = open_unit_of_work(database, ([] if published is None else published).extend)
    assert isinstance(store, PostgresUnitOfWork)
    yield store
    await store.close()
    database.close()


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresUnitOfWork]:
    async with opened(postgres_url) as store:
        yield store


@pytest.fixture
async def proxy(postgres: PostgresServer) -> AsyncIterator[PostgresProxy]:
    async with postgres_proxy(postgres.port) as proxy:
        yield proxy


def migrate(url: str) -> str:
    with contextlib.closing(open_database(url)) as database:
        return database.migrate()


def put(tx: Tx, key: str) -> str:
    tx.insert(meta, {"key": key, "value": key})
    tx.wake(f"topic-{key}")
    return key


def keys(tx: Tx) -> list[str]:
    return [row["key"] for row in tx.rows(meta.select().order_by(meta.c.key))]


# --- a commit whose answer is lost ---


async def test_a_commit_whose_answer_was_lost_is_found_to_have_taken_place(
    proxy: PostgresProxy, postgres_url: str
) -> None:
    published: list[str] = []
    async with opened(proxy.url(postgres_url), published) as store:
        await store.write(put, "first")
        runs = []
        proxy.cut = Cut.AFTER_COMMIT

        def counted(tx: Tx) -> str:
            runs.append(1)
            return put(tx, "second")

        assert await store.write(counted) == "second"
        assert (proxy.cuts, len(runs)) == (1, 1)
        assert published == ["topic-first", "topic-second"]
        assert await store.read(keys) == ["first", "second"]


async def test_a_command_whose_commit_never_arrived_is_run_again(
    proxy: PostgresProxy, postgres_url: str
) -> None:
    async with opened(proxy.url(postgres_url)) as store:
        await store.write(put, "first")
        runs = []
        proxy.cut = Cut.BEFORE_COMMIT

        def counted(tx: Tx) -> str:
            runs.append(1)
            return put(tx, "second")

        assert await store.write(counted) == "second"
        assert (proxy.cuts, len(runs)) == (1, 2)
        assert await store.read(keys) == ["first", "second"]


@pytest.mark.parametrize("cut", [Cut.BEFORE_COMMIT, Cut.AFTER_COMMIT])
async def test_a_commit_whose_fate_cannot_be_found_out_is_never_called_a_success(
    proxy: PostgresProxy, postgres_url: str, cut: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_link, "SETTLE_S", 0.3)
    published: list[str] = []
    async with opened(proxy.url(postgres_url), published) as store:
        await store.write(put, "first")
        proxy.cut, proxy.refuses = cut, True
        with pytest.raises(Unavailable, match="may have taken place"):
            await store.write(put, "second")
        assert published == ["topic-first"]


# --- many at once ---


async def test_commands_that_wait_for_each_other_in_a_circle_are_run_again(
    store: PostgresUnitOfWork,
) -> None:
    for key in ("a", "b"):
        await store.write(put, key)
    both_hold_one = threading.Barrier(2)
    runs = []

    def swap(tx: Tx, first: str, second: str) -> None:
        runs.append(first)
        tx.update(meta, {"value": first}, key=first)
        if len(runs) <= 2:
            both_hold_one.wait(10)
        tx.update(meta, {"value": first}, key=second)

    await asyncio.gather(store.write(swap, "a", "b"), store.write(swap, "b", "a"))
    assert len(runs) >= 3
    values = await store.read(lambda tx: {row["value"] for row in tx.rows(meta.select())})
    assert values in ({"a"}, {"b"})


async def test_of_two_first_starts_at_once_both_find_the_same_tenant(
    store: PostgresUnitOfWork,
) -> None:
    both_found_none = threading.Barrier(2)
    runs = []

    def bootstrap(tx: Tx) -> str:
        found = installation.epoch_of(tx)
        runs.append(found)
        if len(runs) <= 2:
            both_found_none.wait(10)
        return installation.bootstrap(tx)

    first, second = await asyncio.gather(store.write(bootstrap), store.write(bootstrap))
    assert first == second
    assert runs[:2] == ["", ""]


async def test_fifty_copies_of_one_keyed_request_have_one_effect(
    store: PostgresUnitOfWork,
) -> None:
    request = KeyedRequest(client_id="c", key="k", fingerprint="f")
    acts = []

    def create(tx: Tx) -> Answer:
        def act() -> Answer:
            acts.append(1)
            put(tx, "made")
            return Answer(status=201, body={"made": True})

        return idempotency.once(tx, request, act)

    answers = await asyncio.gather(*(store.write(create) for _ in range(50)))
    assert {(answer.status, answer.body["made"]) for answer in answers} == {(201, True)}
    assert [answer.repeated for answer in answers].count(False) == 1
    assert len(acts) == 1


async def test_copies_of_one_call_on_several_connections_have_one_effect_and_one_answer(
    store: PostgresUnitOfWork,
) -> None:
    acts = []

    def act(tx: Tx) -> dict[str, Any]:
        acts.append(1)
        put(tx, f"effect-{len(acts)}")
        return {"number": len(acts)}

    answers = await asyncio.gather(
        *(store.write(lambda tx: calls.once(tx, "agent", "call", act)) for _ in range(20))
    )
    assert answers == [{"number": 1}] * 20
    assert await store.read(keys) == ["effect-1"]


async def test_whoever_follows_the_feed_misses_no_entry_that_was_committed_late(
    store: PostgresUnitOfWork,
) -> None:
    tenant = await store.write(installation.bootstrap)
    numbered, go_on = threading.Event(), threading.Event()

    def slow(tx: Tx) -> None:
        activity.record(tx, tenant, "slow")
        numbered.set()
        assert go_on.wait(10)

    writing = asyncio.create_task(store.write(slow))
    await asyncio.to_thread(numbered.wait, 10)
    await store.write(lambda tx: activity.record(tx, tenant, "quick"))
    seen = await store.read(activity.since, tenant, after=0, limit=10)
    go_on.set()
    await writing
    after = max((row["id"] for row in seen), default=0)
    seen += await store.read(activity.since, tenant, after=after, limit=10)
    assert [row["type"] for row in seen] == ["slow", "quick"]


async def test_a_command_that_finds_another_followed_just_now_has_its_topic_published(
    postgres_url: str,
) -> None:
    published: list[str] = []
    following, go_on = threading.Event(), threading.Event()

    def follow(_: Tx) -> None:
        following.set()
        assert go_on.wait(10)

    async with opened(postgres_url, published) as store:
        store.follow("dispatch", follow)
        first = asyncio.create_task(store.write(lambda tx: tx.wake("dispatch", "first")))
        await asyncio.to_thread(following.wait, 10)
        await store.write(lambda tx: tx.wake("dispatch", "second"))
        assert sorted(published) == ["dispatch", "second"]
        go_on.set()
        await first
        assert sorted(published) == ["dispatch", "first", "second"]


async def test_more_commands_than_may_wait_are_refused(
    store: PostgresUnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_unit_of_work, "MOST_WAITING", 2)
    go_on = threading.Event()
    waiting = [asyncio.create_task(store.write(lambda _: go_on.wait(10))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="wait for the database already"):
        await store.write(put, "one too many")
    go_on.set()
    assert all(await asyncio.gather(*waiting))


# --- the server ---


async def test_a_server_that_is_away_is_said_to_be_and_comes_back_by_itself(
    own_postgres: PostgresServer,
) -> None:
    async with opened(own_postgres.migrated_database()) as store:
        await store.write(put, "before")
        own_postgres.stop_at_once()
        with pytest.raises(Unavailable) as refused:
            await store.write(put, "meanwhile")
        assert refused.value.retry_after > 0
        with pytest.raises(Unavailable):
            await store.read(keys)
        own_postgres.start()

        async def back() -> bool:
            with contextlib.suppress(Unavailable):
                return await store.write(put, "after") == "after"
            return False

        await eventually(back, what="the store works again")
        assert await store.read(keys) == ["after", "before"]


async def test_sessions_that_the_server_ended_are_replaced_unseen(
    own_postgres: PostgresServer,
) -> None:
    async with opened(own_postgres.migrated_database()) as store:
        await asyncio.gather(*(store.write(put, f"a{number}") for number in range(20)))
        await store.read(keys)
        own_postgres.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'nexus%'"
        )
        await asyncio.gather(*(store.write(put, f"b{number}") for number in range(20)))
        assert len(await store.read(keys)) == 40


async def test_a_connection_that_breaks_under_an_expression_is_replaced(
    own_postgres: PostgresServer,
) -> None:
    """SQLAlchemy then takes it for invalid, and would give out no other before a rollback."""
    suicide = sa.select(sa.func.pg_terminate_backend(sa.func.pg_backend_pid()))
    async with opened(own_postgres.migrated_database()) as store:
        await store.write(put, "before")
        for act in (store.read, store.write):
            with pytest.raises(Unavailable):
                await act(lambda tx: tx.rows(suicide))
        for _ in range(20):
            assert "before" in await store.read(keys)
        await asyncio.gather(*(store.write(put, f"b{number}") for number in range(20)))


async def test_an_answer_means_on_disk_whatever_the_server_s_default(
    postgres: PostgresServer, postgres_url: str
) -> None:
    name = postgres_url.rpartition("/")[2]
    postgres.run(f"ALTER DATABASE {name} SET synchronous_commit = off")
    async with opened(postgres_url) as store:
        said = await store.write(lambda tx: tx.scalar(sa.text("SHOW synchronous_commit")))  # type: ignore[arg-type]  # a setting is no table
    assert said == "on"


async def test_the_time_is_the_database_s(
    store: PostgresUnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexus.store.clock.time.time_ns", lambda: 0)
    ask = sa.text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
    for run in (store.write, store.read):
        now, theirs = await run(lambda tx: (tx.now, tx.scalar(ask)))  # type: ignore[arg-type]  # as above
        assert 0 <= theirs - now < 5_000


# --- what is refused ---


def test_an_address_of_another_kind_is_refused_without_repeating_it() -> None:
    with pytest.raises(DatabaseUnusable, match="NEXUS_DATABASE_URL: want an address") as refused:
        open_database("mysql://me:hidden@host/db")
    assert "hidden" not in str(refused.value)


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    database = open_database("postgresql://me:hidden@127.0.0.1:1/db?password=hidden2")
    where = "NEXUS_DATABASE_URL: postgresql://127.0.0.1:1/db cannot be used"
    with pytest.raises(DatabaseUnusable, match=where) as no:
        database.migrate()
    assert "hidden" not in str(no.value)
    assert "hidden" not in database.name


def test_a_server_that_is_too_old_is_refused(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_module, "OLDEST", 99)
    with pytest.raises(DatabaseUnusable, match="is PostgreSQL 18; Nexus needs 99 or newer"):
        migrate(postgres_url)


def test_a_database_that_cannot_hold_every_text_is_refused(postgres: PostgresServer) -> None:
    postgres.run("CREATE DATABASE narrow TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    with pytest.raises(DatabaseUnusable, match="is encoded in LATIN1"):
        migrate(postgres.url("narrow"))


def test_two_nodes_that_start_at_once_migrate_once(postgres: PostgresServer) -> None:
    url = postgres.fresh_database()
    outcomes: list[Any] = []

    def start() -> None:
        try:
            outcomes.append(migrate(url))
        except Exception as error:  # noqa: BLE001 - shown below
            outcomes.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert outcomes == [Database.newest_version()] * 4
