"""Where a client owns its process: the event loop and the signals."""

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from oblivion._logging import get_log
from oblivion.errors import Disconnected, UsageError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_log = get_log("process")


def run_until_signal(
    serve: Callable[[], Coroutine[Any, Any, None]], stop: Callable[[], Awaitable[None]]
) -> None:
    """Run ``serve`` on a new event loop; the first signal awaits ``stop``, the second quits.

    On a thread that is not the main one there are no signals, and it runs until its end.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(_supervise(serve, stop))
        return
    raise UsageError("run() owns its event loop: inside one, await connect() and wait() instead")


async def _supervise(
    serve: Callable[[], Coroutine[Any, Any, None]], stop: Callable[[], Awaitable[None]]
) -> None:
    signalled = asyncio.Event()
    with _listening(signalled):
        stopping = asyncio.create_task(_stop_when(signalled, stop), name="oblivion-signals")
        try:
            await serve()
        except Disconnected:
            if not signalled.is_set():
                raise
        finally:
            stopping.cancel()


async def _stop_when(signalled: asyncio.Event, stop: Callable[[], Awaitable[None]]) -> None:
    await signalled.wait()
    _log.info("stopping", how="drains; a second signal quits at once")
    await stop()


@contextmanager
def _listening(signalled: asyncio.Event) -> Generator[None]:
    """Take the signals over for the body.

    ``signal.signal`` with a wake-up of the loop works on every platform, unlike the loop's own
    ``add_signal_handler``.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if signalled.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        signalled.set()
        loop.call_soon_threadsafe(_nothing)

    before = {number: signal.signal(number, on_signal) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _nothing() -> None:
    """Give the loop a reason to look around."""
