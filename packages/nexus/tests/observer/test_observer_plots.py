"""The last hour becomes drawings: counted where it is kept, drawn to scale, told in words."""

import pytest

from nexus.observer.plots import HEIGHT, plots
from nexus.observer.pulse import MUCH, SHOWN, Pulse
from nexus.services import attempts, dispatch, history, tasks
from nexus.services.history import MINUTE_MS, Minute
from nexus.services.tasks import Reason
from nexus.store.tx import Tx
from service_world import NODE, ServiceWorld, done


def hour(world: ServiceWorld, pulse: Pulse) -> list[Minute]:
    """Return what an hour of the world looks like."""
    tenant_id = world.admin.tenant_id
    return world.run(lambda tx: pulse.hour(tx, tenant_id)).minutes


def work(world: ServiceWorld, agent_id: str, waits_s: float) -> None:
    """Have a task made, leased after a while, and done at once."""
    task = world.task()
    world.time.advance(seconds=waits_s)
    world.run(dispatch.lease_next, NODE, world.limits.lease_ms)
    world.run(attempts.update, agent_id, done(task))


def test_minutes_count_what_was_made_done_and_waits(world: ServiceWorld) -> None:
    world.time.now -= world.time.now % MINUTE_MS
    agent_id = world.agent("a")
    world.connect(agent_id)
    pulse = Pulse()
    work(world, agent_id, 1)
    work(world, agent_id, 3)
    world.time.advance(seconds=60)
    world.task(required_capabilities=["nobody-has-it"])
    unwanted = world.task(required_capabilities=["nobody-has-it"])
    world.time.advance(seconds=60)
    world.run(tasks.cancel, world.admin, unwanted.id, Reason())
    number = world.time.now // MINUTE_MS
    expected = [
        Minute(number=number - 2, created=2, done=2, queued=0, p50=1000, p99=3000),
        Minute(number=number - 1, created=2, queued=2),
        Minute(number=number, queued=-1),
    ]
    shown = hour(world, pulse)
    assert shown[-3:] == expected
    assert len(shown) == SHOWN
    world.time.advance(seconds=60)
    work(world, agent_id, 2)
    again = hour(world, pulse)
    assert again[-4:-1] == expected
    assert again[-1] == Minute(number=number + 1, created=1, done=1, p50=2000, p99=2000)
    assert again == hour(world, Pulse())  # what was kept in mind is what is stored


def test_what_was_kept_is_not_read_again(
    world: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulse = Pulse()
    hour(world, pulse)
    world.time.advance(seconds=120)
    newest = world.time.now // MINUTE_MS
    read = history.minutes
    asked: list[tuple[int, int]] = []

    def counted(tx: Tx, tenant_id: str, first: int, last: int) -> list[Minute]:
        asked.append((first, last))
        return read(tx, tenant_id, first, last)

    monkeypatch.setattr(history, "minutes", counted)
    hour(world, pulse)
    assert asked == [(newest - 2, newest)]


def test_a_busy_hour_is_read_by_and_by_from_its_end(
    world: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []

    def busy(tx: Tx, tenant_id: str, first: int, last: int) -> list[Minute]:
        asked.append((first, last))
        return [Minute(number=number, created=MUCH) for number in range(first, last + 1)]

    monkeypatch.setattr(history, "minutes", busy)
    pulse, tenant_id = Pulse(), world.admin.tenant_id
    world.time.now -= world.time.now % MINUTE_MS
    now = world.time.now // MINUTE_MS
    looks = [world.run(lambda tx: pulse.hour(tx, tenant_id)) for _ in range(15)]
    known = [sum(1 for one in look.minutes if one.created) for look in looks]
    assert known[:2] == [10, 15]  # the last two minutes may change, and are read again
    assert [look.is_whole for look in looks] == [count == SHOWN for count in known]
    assert looks[-1].is_whole
    assert asked[0] == (now - 4, now)
    assert all(last - first < 5 for first, last in asked)


def test_done_today_is_counted_from_a_moment_on(world: ServiceWorld) -> None:
    agent_id = world.agent("a")
    world.connect(agent_id)
    work(world, agent_id, 0)
    world.time.advance(seconds=10)
    since = world.time.now
    work(world, agent_id, 0)
    assert world.run(history.done_since, world.admin.tenant_id, since) == 1
    assert world.run(history.done_since, world.admin.tenant_id, since + 1) == 0


def test_drawings_are_to_scale_and_told_in_words() -> None:
    minutes = [
        Minute(number=1, created=4, done=2, queued=2, p50=10, p99=40),
        Minute(number=2, created=0, done=1),
        Minute(number=3, created=1, done=0, queued=1, p50=5, p99=20),
    ]
    pace, latency, depth = plots(minutes, waiting=3)
    assert [(bar.kind, bar.height) for bar in pace.bars] == [
        ("made", HEIGHT),
        ("done", HEIGHT / 2),
        ("done", HEIGHT / 4),
        ("made", HEIGHT / 4),
    ]
    assert "5 tasks were made and 3 done; at most 4 a minute" in pace.words
    assert len(latency.lines["p99"]) == 2  # the minute without a lease is a gap
    assert latency.value == "p50 5 ms, p99 20 ms"
    assert depth.value == "3 waiting"
    (line,) = depth.lines["depth"]
    heights = [float(point.partition(",")[2]) for point in line.split()]
    assert heights == [34.0, 34.0, 2.0]  # 2, 2 and 3 waited


def test_an_hour_without_anything_is_drawn_empty() -> None:
    pace, latency, depth = plots([Minute(number=n) for n in range(60)], waiting=0)
    assert pace.bars == []
    assert latency.words == "No task was leased in the last hour."
    assert depth.value == "0 waiting"
