"""Where the process serves: a socket, uvicorn around the app, and signals that drain before they stop."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Callable, Iterator

import uvicorn

from nexus.app import Nexus, running
from nexus.settings import Settings, SettingsError

_GRACE_S = 10


async def serve(settings: Settings, started: Callable[[Nexus, str], None]) -> None:
    """Serve until the first signal, then drain; a second one stops at once.

    ``started`` is called with the app and its URL once requests are answered.

    Raises:
        SettingsError: the port cannot be had.
        DataDirError: the data folder cannot be used.
    """
    listener = _listen(settings)
    with contextlib.closing(listener):
        async with running(settings) as nexus:
            url = _url(settings.host, listener.getsockname()[1])
            await _Server(nexus, lambda: started(nexus, url)).serve(sockets=[listener])


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror}; "
            "choose another one with --port (0 takes a free one)"
        ) from error


def _url(host: str, port: int) -> str:
    shown = {"0.0.0.0": "localhost", "127.0.0.1": "localhost", "::": "localhost"}.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


class _Server(uvicorn.Server):
    """uvicorn, with its own way to stop: drain first."""

    def __init__(self, nexus: Nexus, on_started: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                nexus.app,
                ws="websockets-sansio",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        self._nexus = nexus
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start answering, then say so."""
        await super().startup(sockets)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell the agents when to come back, then close."""
        await self._nexus.delivery.drain()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the first signal as a wish to stop and the second as an order."""
        if sys.platform == "win32":  # no signal handlers in its event loops
            with super().capture_signals():
                yield
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True
