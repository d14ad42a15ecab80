"""Where the ceiling is: what Nexus stands on, without Nexus. Nothing is stored or checked.

uvicorn with a FastAPI app that takes small POSTs, and a python-socketio server to connect to.
"""

import asyncio
import socket

import socketio
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from bench.workers.talk import options, questions, say


class Small(BaseModel):
    """A small POST's body."""

    title: str


api = FastAPI()
sio = socketio.AsyncServer(async_mode="asgi", transports=["websocket"])


@api.post("/take", status_code=201)
async def take(body: Small) -> Small:
    """Take a small POST and answer it."""
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
