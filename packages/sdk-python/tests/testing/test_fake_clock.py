"""How time passes in a test: by itself, or in leaps."""

import asyncio

import pytest

from oblivion.testing import FakeClock


async def test_a_leap_rings_what_is_due_in_its_order() -> None:
    clock, rung = FakeClock(frozen=True), list[tuple[str, float]]()
    began = clock.monotonic()

    def ring(name: str) -> None:
        rung.append((name, clock.monotonic() - began))

    clock.call_later(3, lambda: ring("late"))
    clock.call_later(1, lambda: clock.call_later(1, lambda: ring("within")))
    clock.call_later(60, lambda: ring("never")).cancel()
    clock.call_later(600, lambda: ring("too far"))
    await clock.advance(100)
    assert [name for name, _ in rung] == ["within", "late"]
    assert [moment for _, moment in rung] == pytest.approx([2, 3])
    assert clock.monotonic() - began == pytest.approx(100)


async def test_moments_follow_ages() -> None:
    clock = FakeClock(frozen=True)
    before = clock.now()
    await clock.advance(3600)
    assert (clock.now() - before).total_seconds() == pytest.approx(3600)


async def test_a_clock_goes_on_by_itself_also_after_a_leap() -> None:
    clock, rung = FakeClock(), asyncio.Event()
    clock.call_later(1.02, rung.set)
    await clock.advance(1)
    assert not rung.is_set()
    async with asyncio.timeout(5):
        await rung.wait()


async def test_a_frozen_clock_stands_still_but_for_what_is_due_now() -> None:
    clock, now, later = FakeClock(frozen=True), asyncio.Event(), asyncio.Event()
    clock.call_later(0, now.set)
    clock.call_later(0.001, later.set)
    async with asyncio.timeout(5):
        await now.wait()
    age = clock.monotonic()
    assert clock.monotonic() == age
    assert not later.is_set()
