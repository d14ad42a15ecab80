"""Where the process serves: a socket, uvicorn around the app, signals that drain first."""

import asyncio
import contextlib
import gc
import ipaddress
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import uvicorn

if sys.platform != "win32":
    import uvloop

from nexus.app import Nexus, running
from nexus.settings import Settings, SettingsError
from nexus.store.clock import wall_clock
from nexus.store.unit_of_work import Clock
from oblivion.protocol import MAX_FRAME_BYTES

_GRACE_S = 10
_BACKLOG = 2048


@dataclass(frozen=True, kw_only=True)
class Serving:
    """A Nexus that answers requests at ``url``; ``stop`` drains it, called twice it cuts."""

    nexus: Nexus
    url: str
    stop: Callable[[], None]


def run(settings: Settings, started: Callable[[Serving], None]) -> None:
    """Run :func:`serve` in an event loop of its own, the quickest there is for the platform."""

    def begin(serving: Serving) -> None:
        spare_the_collector()
        started(serving)

    if sys.platform == "win32":
        asyncio.run(serve(settings, begin))
    else:
        uvloop.run(serve(settings, begin))


def spare_the_collector() -> None:
    """Have garbage looked for less often, and never among what is there for good.

    Measured at saturation: looking through it all again and again took a fifth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


async def serve(
    settings: Settings, started: Callable[[Serving], None], *, clock: Clock = wall_clock
) -> None:
    """Serve until the first signal, then drain; a second one stops at once.

    ``started`` is called once requests are answered.

    Raises:
        SettingsError: the port cannot be had, or a secret that was chosen is weak.
        StoreError: the data folder or the database cannot be used.
    """
    listener = _listen(settings)
    with contextlib.closing(listener):
        async with running(settings, clock) as nexus:
            url = _url(settings.host, listener.getsockname()[1])
            await _Server(nexus, url, settings.trusted_proxies, started).serve(sockets=[listener])


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # The protocol is named because asyncio sets TCP_NODELAY only where it is; without that each
    # small answer waits 40 ms for the peer's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":  # where it would let two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror}; "
            "choose another one with --port (0 takes a free one)"
        ) from error
    return listener


def _url(host: str, port: int) -> str:
    address = ipaddress.ip_address(host) if host[-1:].isdigit() or ":" in host else None
    if address is not None and (address.is_unspecified or address.is_loopback):
        return f"http://localhost:{port}"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """uvicorn, with its own way to stop: drain first."""

    def __init__(
        self, nexus: Nexus, url: str, proxies: str, started: Callable[[Serving], None]
    ) -> None:
        super().__init__(
            uvicorn.Config(
                nexus.door,
                http="httptools",
                ws=nexus.door.upgrade,  # type: ignore[arg-type]  # uvicorn only calls it
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                forwarded_allow_ips=proxies,
                ws_per_message_deflate=False,
                ws_max_size=MAX_FRAME_BYTES,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        self._nexus = nexus
        self._started = started
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start answering, then say so."""
        await super().startup(sockets)
        self._started(Serving(nexus=self._nexus, url=self._url, stop=self._stop))

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
