"""Where the ceiling is: what Nexus stands on, without Nexus. Nothing is stored or checked.

uvicorn as Nexus runs it, with a python-socketio server that echoes and acknowledges, and a FastAPI
app that takes small POSTs; ``/relay`` passes one on to a connected client.
"""

import asyncio
import itertools
import socket
from typing import Any

import orjson
import socketio
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from bench.workers.talk import options, questions, say


class Json:
    """orjson in the shape of the json module, as python-socketio wants it."""

    loads = staticmethod(orjson.loads)

    @staticmethod
    def dumps(value: object, **_: object) -> str:
        """Return compact JSON."""
        return orjson.dumps(value).decode()


class Small(BaseModel):
    """A small POST's body."""

    title: str


api = FastAPI()
sio = socketio.AsyncServer(async_mode="asgi", transports=["websocket"], json=Json)
clients: dict[str, None] = {}
turns = itertools.count()


@sio.on("connect")  # type: ignore[untyped-decorator]  # the library is untyped
async def connect(sid: str, _environ: Any) -> None:
    """Remember whom to relay to."""
    clients[sid] = None


@sio.on("disconnect")  # type: ignore[untyped-decorator]  # the library is untyped
async def disconnect(sid: str, _reason: str) -> None:
    """Forget a client."""
    clients.pop(sid, None)


@sio.on("echo")  # type: ignore[untyped-decorator]  # the library is untyped
async def echo(_sid: str, data: Any) -> Any:
    """Acknowledge an event with what it brought."""
    return data


@api.post("/take", status_code=201)
async def take(body: Small) -> Small:
    """Take a small POST and answer it."""
    return body


@api.post("/relay", status_code=201)
async def relay(body: Small) -> Small:
    """Pass a small POST on to the next client."""
    sid = list(clients)[next(turns) % len(clients)]
    await sio.emit("task", {"title": body.title}, to=sid)
    return body


async def main() -> None:
    """Serve on a free port, which is the answer to the benchmark, until it hangs up."""
    options()
    # TCP named, for asyncio sets TCP_NODELAY only where it is.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    server = uvicorn.Server(
        uvicorn.Config(
            socketio.ASGIApp(sio, api),
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            log_level="warning",
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    say(f"http://127.0.0.1:{listener.getsockname()[1]}")
    async for _ in questions():
        pass
    server.should_exit = True
    await serving


if __name__ == "__main__":
    loop_factory = uvicorn.Config(api).get_loop_factory()  # uvloop, where there is one
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
