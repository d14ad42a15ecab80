"""What an agent was sent and has not taken is counted frame by frame, whatever comes between."""

import asyncio
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from nexus.gateway.outgoing import Outgoing
from sink import Sink


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("send"), st.lists(st.integers(1, 50), min_size=1, max_size=4)),
            st.tuples(st.just("take"), st.integers(0, 120)),
        ),
        max_size=30,
    )
)
def test_unread_frames_are_those_of_which_a_byte_is_still_held(
    steps: list[tuple[str, list[int] | int]],
) -> None:
    async def play() -> None:
        sink = Sink()
        outgoing = Outgoing(sink)
        sizes: list[int] = []
        for name, what in steps:
            if name == "take":
                sink.held = max(0, sink.held - cast("int", what))
            else:
                for size in cast("list[int]", what):
                    outgoing.add(b"x" * size)
                    sizes.append(size)
                outgoing.write()
            assert outgoing.frames_unread == expected(sizes, sink.held)
            assert outgoing.bytes_unread == sink.held

    asyncio.run(play())


def expected(sizes: list[int], held: int) -> int:
    """Count from the newest frame back, until all that is held is accounted for."""
    count = 0
    while held > 0:
        count += 1
        held -= sizes[-count]
    return count


async def test_what_is_added_in_one_turn_of_the_loop_is_one_write() -> None:
    sink = Sink()
    outgoing = Outgoing(sink)
    for frame in (b"a", b"b", b"c"):
        outgoing.add(frame)
    assert (sink.writes, outgoing.bytes_unread, outgoing.frames_unread) == ([], 3, 3)
    await asyncio.sleep(0)
    assert (sink.writes, outgoing.bytes_unread, outgoing.frames_unread) == ([b"abc"], 3, 3)


async def test_much_is_written_before_the_turn_is_over() -> None:
    sink = Sink()
    outgoing = Outgoing(sink)
    for _ in range(100):
        outgoing.add(b"x" * 1_000)
    assert sum(map(len, sink.writes)) > 65_536
    await asyncio.sleep(0)
    assert sum(map(len, sink.writes)) == 100_000


async def test_sizes_of_what_was_taken_are_not_kept_while_something_is_always_held() -> None:
    sink = Sink()
    outgoing = Outgoing(sink)
    sink.held = 1
    for _ in range(10_000):
        outgoing.add(b"x" * 10)
        outgoing.write()
        sink.held = 10
    assert len(outgoing._sizes) <= 1_025
