"""Whoever changes the audit log in the database is found out: edits, gaps, moves, cut ends."""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from nexus.audit_anchor import AuditAnchor, advance, read_anchors
from nexus.domain.audit_chain import End, audit_key
from nexus.domain.redaction import HIDDEN, summary, without_secrets
from nexus.services import audit
from nexus.services.audit import Act, AuditFilter
from nexus.store import DataDirError, Tx, open_database, open_unit_of_work
from nexus.store.schema import audit as table
from service_world import ServiceWorld

KEY = audit_key(b"pepper of the tests")
LENGTH = 8


@pytest.fixture
def ends(world: ServiceWorld) -> list[End]:
    """The ends that a chain of eight entries had, one after the other."""
    return [put(world, number) for number in range(1, LENGTH + 1)]


def put(world: ServiceWorld, number: int, tenant_id: str | None = None) -> End:
    world.time.now += 1000
    act = Act(
        actor="admin",
        role="admin",
        action="edit_group",
        target=f"group-{number}",
        address="192.0.2.1",
        details={"name": f"Group {number}", "of": [number, None, True, 0.5]},
    )
    return world.run(audit.append, KEY, tenant_id or world.admin.tenant_id, act)


def findings(
    world: ServiceWorld, *anchors: End, key: bytes = KEY, newest: int | None = None
) -> list[tuple[int, str]]:
    def look(tx: Tx) -> list[tuple[int, str]]:
        verdicts = list(audit.verify(tx, key, anchors, newest))
        return [(found.seq, found.problem) for each in verdicts for found in each.findings]

    return world.run(look)


def change(world: ServiceWorld, statement: sa.Update | sa.Delete) -> None:
    def meddle(tx: Tx) -> None:
        assert tx.change(statement)

    world.run(meddle)


def test_a_chain_that_nobody_touched_is_whole(world: ServiceWorld, ends: list[End]) -> None:
    assert findings(world, *ends) == []
    (verdict,) = world.run(lambda tx: list(audit.verify(tx, KEY, ())))
    assert (verdict.slug, verdict.end) == ("default", ends[-1])


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", 1),
        ("actor", "somebody"),
        ("role", "viewer"),
        ("address", None),
        ("action", "create_group"),
        ("target", "group-9"),
        ("details", "{}"),
        ("details", '{"name":"Group 4","of":[4,null,true,0.5] }'),
        ("seal", "0" * 64),
    ],
)
def test_an_edit_of_any_column_is_found_where_it_was_made(
    world: ServiceWorld, ends: list[End], column: str, value: object
) -> None:
    change(world, table.update().where(table.c.seq == 4).values({column: value}))

    found = findings(world, ends[-1])

    assert found[0] == (4, "is not what was written there")
    assert len(found) == (2 if column == "seal" else 1)


@pytest.mark.parametrize("seqs", [[1], [4], [4, 5, 6], [7]])
def test_a_deletion_is_found(world: ServiceWorld, ends: list[End], seqs: list[int]) -> None:
    change(world, table.delete().where(table.c.seq.in_(seqs)))

    (found,) = findings(world, ends[-1])

    assert found[0] == seqs[0]
    assert "missing" in found[1]


@pytest.mark.parametrize("newest", [1, 4, 5, LENGTH, LENGTH + 1])
def test_a_look_at_the_newest_entries_sees_what_was_done_to_them(
    world: ServiceWorld, ends: list[End], newest: int
) -> None:
    assert findings(world, *ends, newest=newest) == []
    change(world, table.update().where(table.c.seq == 4).values(actor="x"))

    found = findings(world, *ends, newest=newest)

    assert [seq for seq, _ in found] == ([4] if newest > LENGTH - 4 else [])
    change(world, table.delete().where(table.c.seq == LENGTH))
    assert (LENGTH, "is missing") in findings(world, ends[-1], newest=newest)


def test_a_deletion_that_closes_the_gap_is_found(world: ServiceWorld, ends: list[End]) -> None:
    change(world, table.delete().where(table.c.seq == 4))
    for seq in range(5, LENGTH + 1):
        change(world, table.update().where(table.c.seq == seq).values(seq=seq - 1))

    found = findings(world)

    assert [seq for seq, _ in found] == [4, 5, 6, 7]


@pytest.mark.parametrize("left", [0, 1, 7])
def test_a_cut_end_is_found_by_the_anchor(world: ServiceWorld, ends: list[End], left: int) -> None:
    change(world, table.delete().where(table.c.seq > left))

    assert findings(world) == []  # what is left is whole; only somebody outside can know
    (found,) = findings(world, ends[-1])
    assert found[0] == left + 1
    assert "missing" in found[1]


def test_a_cut_end_that_grew_again_is_found_by_the_anchor(
    world: ServiceWorld, ends: list[End]
) -> None:
    change(world, table.delete().where(table.c.seq > 5))
    for number in range(6, LENGTH + 2):
        put(world, number)

    assert findings(world, ends[-1]) == [(LENGTH, "is not the entry that the anchor knows")]


def test_two_entries_that_changed_places_are_found(world: ServiceWorld, ends: list[End]) -> None:
    for was, becomes in ((3, 100), (4, 3), (100, 4)):
        change(world, table.update().where(table.c.seq == was).values(seq=becomes))

    found = findings(world, ends[-1])

    assert {seq for seq, _ in found} >= {3, 4}


def test_a_chain_that_was_written_anew_without_the_key_is_found(
    world: ServiceWorld, ends: list[End]
) -> None:
    change(world, table.delete().where(table.c.seq > 0))
    for number in range(1, LENGTH + 1):
        act = Act(actor="admin", role="admin", action="edit_group", target=f"group-{number}")
        world.run(audit.append, audit_key(b"another"), world.admin.tenant_id, act)

    assert len(findings(world)) == LENGTH


def test_an_entry_of_another_tenant_is_none_of_this_one(world: ServiceWorld) -> None:
    mine = put(world, 1)
    put(world, 1, "other")
    change(world, table.delete().where(table.c.tenant_id == mine.tenant_id))
    moved = table.update().where(table.c.tenant_id == "other")
    change(world, moved.values(tenant_id=mine.tenant_id))

    assert (1, "is not what was written there") in findings(world)


def test_a_tenant_whose_whole_chain_is_gone_is_found(world: ServiceWorld, ends: list[End]) -> None:
    change(world, table.delete())
    assert findings(world, ends[-1]) == [(1, f"to {LENGTH} are missing")]


def test_chains_that_are_longer_than_a_look_takes_at_once_are_seen_whole(
    world: ServiceWorld, ends: list[End], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_CHUNK", 3)
    assert findings(world, ends[-1]) == []
    change(world, table.update().where(table.c.seq == LENGTH).values(actor="x"))
    assert [seq for seq, _ in findings(world)] == [LENGTH]


async def test_writers_at_the_same_time_keep_one_chain(database_url: str) -> None:
    database = open_database(database_url)
    database.migrate()
    store = open_unit_of_work(database, lambda _: None)

    def do(number: int) -> Callable[[Tx], End]:
        act = Act(actor=f"admin-{number % 3}", role="admin", action="edit_group")
        return lambda tx: audit.append(tx, KEY, f"tenant-{number % 2}", act)

    try:
        ends = await asyncio.gather(*(store.write(do(number)) for number in range(60)))
        verdicts = await store.read(lambda tx: list(audit.verify(tx, KEY, ends)))
    finally:
        await store.close()
        database.close()

    assert [(each.end.seq, each.findings) for each in verdicts] == [(30, []), (30, [])]
    assert len({(end.tenant_id, end.seq) for end in ends}) == 60


def test_whoever_comes_second_waits_for_the_first(postgres_url: str) -> None:
    """Two connections append at once: the second follows the first instead of failing."""
    act = Act(actor="admin", role="admin", action="edit_group")
    with contextlib.closing(open_database(postgres_url)) as database:
        first, second = database.writer.connect(), database.writer.connect()
        with first, second, ThreadPoolExecutor(1) as thread:
            ours, theirs = first.begin(), second.begin()
            audit.append(Tx(first, 1), KEY, "t", act)
            follows = thread.submit(audit.append, Tx(second, 2), KEY, "t", act)
            with pytest.raises(TimeoutError):
                follows.result(timeout=0.2)
            ours.commit()
            assert follows.result(timeout=10).seq == 2
            theirs.commit()


def test_entries_are_read_newest_first_page_by_page(world: ServiceWorld, ends: list[End]) -> None:
    tenant_id = world.admin.tenant_id

    def seqs(**wanted: object) -> list[int]:
        rows = world.run(audit.newest, tenant_id, AuditFilter.model_validate(wanted))
        return [row["seq"] for row in rows]

    assert seqs(limit=3) == [8, 7, 6, 5]
    assert seqs(limit=3, cursor=6) == [5, 4, 3, 2]
    assert seqs(target="group-2") == [2]
    assert seqs(actor="nobody") == []
    assert world.run(audit.newest, "other", AuditFilter()) == []


# --- the anchor


def end(seq: int, tenant_id: str = "t") -> End:
    return End(tenant_id=tenant_id, seq=seq, seal=f"{seq:064}")


async def test_an_anchor_only_moves_on_and_is_private(tmp_path: Path) -> None:
    anchor = AuditAnchor(tmp_path)
    order = [3, 1, 7, 2, 5]
    await asyncio.gather(*(anchor.hold(end(seq)) for seq in order), anchor.hold(end(2, "u")))
    await anchor.hold(end(4))

    assert read_anchors(tmp_path) == {"t": end(7), "u": end(2, "u")}
    (path,) = tmp_path.iterdir()
    assert path.stat().st_mode & 0o077 == 0


def test_what_another_process_anchored_meanwhile_stays(tmp_path: Path) -> None:
    advance(tmp_path, {"t": end(3)})
    advance(tmp_path, {"u": end(1, "u"), "t": end(2)})
    assert read_anchors(tmp_path) == {"t": end(3), "u": end(1, "u")}


async def test_an_anchor_that_cannot_be_kept_is_logged_and_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await AuditAnchor(tmp_path / "gone").hold(end(1))
    assert "audit_anchor_not_kept" in caplog.text


def test_a_damaged_anchor_says_so(tmp_path: Path) -> None:
    (tmp_path / "audit-anchor.json").write_text("{")
    with pytest.raises(DataDirError, match=r"audit-anchor\.json is damaged"):
        read_anchors(tmp_path)


# --- what is kept, and what is not

MADE = "obv_" + "x" * 43


@pytest.mark.parametrize(
    "name",
    ["clientSecret", "client_secret", "password", "token", "registrationToken", "Authorization"],
)
def test_what_goes_by_a_secrets_name_is_not_kept(name: str) -> None:
    assert summary({"a": {name: "hunter2"}}) == {"a": {name: HIDDEN}}


@pytest.mark.parametrize("name", ["tokenId", "name", "secretary", "maxAttempts"])
def test_other_names_are_kept(name: str) -> None:
    assert summary({name: "x"}) == {name: "x"}


@pytest.mark.parametrize(
    "text",
    [
        f"my secret is {MADE}, keep it",
        "use reg_" + "a" * 43,
        "SLACK_BOT_TOKEN is xoxb-17653672481-hunter2hunter2",
        "open xapp-1-A0-hunter2hunter2",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "Authorization: Bearer hunter2hunter2",
        "Basic YWRtaW46aHVudGVyMg==",
        "/socket.io/?EIO=4&token=hunter2hunter2",
        "postgresql://nexus:hunter2@db.example.com/nexus",
    ],
)
def test_what_has_a_secrets_form_is_not_kept(text: str) -> None:
    kept = without_secrets(text)
    assert HIDDEN in kept
    for secret in (MADE, "a" * 43, "eyJ", "hunter2", "YWRtaW46"):
        assert secret not in kept


def test_what_is_kept_is_short() -> None:
    kept = summary(
        {"text": "x" * 5000, "list": [0] * 500, "deep": {"a": {"b": {"c": {"d": {}}}}}, "n": 2**99}
    )
    assert len(str(kept)) < 1000
    assert kept["text"].endswith("... (5000 characters)")
    assert kept["n"] == str(2**99)
