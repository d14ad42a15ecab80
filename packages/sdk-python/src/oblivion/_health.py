"""Where a process tells its supervisor how it is: ``/livez`` and ``/readyz``."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from oblivion._logging import get_log
from oblivion._runnable import Runnable
from oblivion.errors import InvalidArgument

_log = get_log("process")


@asynccontextmanager
async def answering(clients: Sequence[Runnable], host: str, port: int) -> AsyncGenerator[None]:
    """Answer on ``host`` and ``port`` for the body.

    Raises:
        InvalidArgument: nobody can listen there.
    """

    def told(status: int) -> web.Response:
        agents = [{"clientId": one.client_id, "connected": one.connected} for one in clients]
        word = "ok" if status == 200 else "not connected"
        return web.json_response({"status": word, "agents": agents}, status=status)

    async def alive(_request: web.Request) -> web.Response:
        return told(200)

    async def ready(_request: web.Request) -> web.Response:
        return told(200 if all(client.connected for client in clients) else 503)

    app = web.Application()
    app.add_routes([web.get("/livez", alive), web.get("/readyz", ready)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await _listen(runner, host, port)
        yield
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidArgument(
            f"cannot answer /livez on {host}:{port} ({reason}): choose another livez_port"
        ) from None
    _log.info("livez_listening", host=host, port=runner.addresses[0][1])
