"""Where clients own their process: the event loop, the signals, and the end of all of them."""

import asyncio
import os
import signal
import threading
from collections.abc import Generator, Sequence
from contextlib import AsyncExitStack, contextmanager
from types import FrameType

from oblivion._checks import ARGUMENTS
from oblivion._logging import get_log
from oblivion._runnable import Runnable
from oblivion.errors import InvalidArgument, OblivionError, UsageError

LOOPBACK = "127.0.0.1"

# SIGBREAK is Ctrl-Break on Windows, and what a parent process can send there.
_SIGNALS = [
    signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
]

_log = get_log("process")


def run(*clients: Runnable, livez_port: int | None = None, livez_host: str = LOOPBACK) -> None:
    """Connect and serve until a signal: own the event loop, from start to end.

    The first SIGINT or SIGTERM (Ctrl-Break on Windows, too) drains all clients as
    :meth:`~oblivion.OblivionClient.disconnect` does, and ``run`` returns; the second quits at
    once. When one client cannot go on, the others are drained, and its error is raised. On a
    thread that is not the main one there are no signals, and it runs until the clients' end.

    Args:
        clients: one client or several, each with a client id of its own.
        livez_port: where to answer ``GET /livez``, 200 as long as the process answers, and
            ``GET /readyz``, 200 while all clients are connected and 503 otherwise; 0 takes a free
            port. None answers nothing.
        livez_host: the address for it; ``0.0.0.0`` is reached from other machines.

    Raises:
        UsageError: an event loop is running already; await ``connect()`` and ``wait()``.
        InvalidArgument: an argument is wrong, or nobody can listen on that port.
        OblivionError: what ``connect()`` and ``wait()`` raise.
    """
    if not clients or len(set(clients)) < len(clients):
        raise InvalidArgument("run() needs clients, each of them once")
    if livez_port is not None:
        ARGUMENTS.whole("livez_port", livez_port, low=0, high=65_535)
    ARGUMENTS.text("livez_host", livez_host)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(_supervise(clients, livez_port, livez_host))
        return
    raise UsageError("run() owns its event loop: inside one, await connect() and wait() instead")


async def _supervise(clients: Sequence[Runnable], port: int | None, host: str) -> None:
    stopping = asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.enter_context(_listening(stopping))
        if port is not None:
            from oblivion._health import answering  # noqa: PLC0415 - loads an HTTP server

            await stack.enter_async_context(answering(clients, host, port))
        await _serve_all(clients, stopping)


async def _serve_all(clients: Sequence[Runnable], stopping: asyncio.Event) -> None:
    """Serve until all have ended; the first that fails takes the others along."""
    serving = {asyncio.create_task(_serve(one, stopping)): one.client_id for one in clients}
    watching = asyncio.create_task(_stop_when(stopping, clients), name="oblivion-signals")
    try:
        done, others = await asyncio.wait(serving, return_when=asyncio.FIRST_EXCEPTION)
        failed = next((task for task in done if task.exception() is not None), None)
        if failed is not None and others:
            _log.error("agent_failed", client_id=serving[failed], reason=str(failed.exception()))
            stopping.set()
        await asyncio.wait(serving)
    finally:
        for task in (*serving, watching):
            task.cancel()
        await asyncio.gather(*serving, watching, return_exceptions=True)
    if failed is not None:
        failed.result()


async def _serve(client: Runnable, stopping: asyncio.Event) -> None:
    if stopping.is_set():
        return
    try:
        await client.connect()
        await client.wait()
    except OblivionError:  # a connect that fails while it is called off is no failure
        if not stopping.is_set():
            raise


async def _stop_when(stopping: asyncio.Event, clients: Sequence[Runnable]) -> None:
    await stopping.wait()
    _log.info("stopping", how="drains; a second signal quits at once")
    await asyncio.gather(*(client.disconnect() for client in clients))


@contextmanager
def _listening(stopping: asyncio.Event) -> Generator[None]:
    """Take the signals over for the body.

    ``signal.signal`` with a wake-up of the loop works on every platform, unlike the loop's own
    ``add_signal_handler``.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    signalled: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if signalled:
            _quit(number)
        signalled.append(number)
        loop.call_soon_threadsafe(stopping.set)

    before = {number: signal.signal(number, on_signal) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _quit(number: int) -> None:
    """Die of the signal; the first process of a container, which signals do not kill, exits."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    os._exit(128 + number)
