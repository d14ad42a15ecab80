"""Where people look at the Observer as its script does: they listen, and fetch what changed."""

import asyncio
import re
import time
from typing import Any

import httpx2
import uvloop

from bench.workers.talk import options, orders, say

PAUSE_S = 0.9
"""Between two fetches of a page, as in the Observer's own script."""

_WITHIN_S = 60.0


class Viewers:
    """Pages of the overview that are open, each with a connection of its own."""

    def __init__(self, url: str, secret: str) -> None:
        headers = {"Sec-Fetch-Site": "same-origin"}
        self._http = httpx2.AsyncClient(base_url=url, headers=headers, timeout=_WITHIN_S)
        self._secret = secret
        self._looking: list[asyncio.Task[None]] = []
        self._fetched: list[float] = []

    async def enter(self) -> dict[str, float]:
        """Sign in; return how long a first view takes in ms, and its size in KB."""
        form = {"client_id": "admin", "client_secret": self._secret}
        answer = await self._http.post("/ui/sign-in", data=form)
        if answer.status_code != 303:
            raise RuntimeError(f"signing in was answered with {answer.status_code}")
        began = time.perf_counter()
        page = await self._http.get("/")
        parts = re.findall(r'(?:href|src)="(/ui/static/[^"]+)"', page.text)
        sizes = [len(page.content)]
        for answer in await asyncio.gather(*(self._http.get(part) for part in parts)):
            answer.raise_for_status()
            sizes.append(len(answer.content))
        took = (time.perf_counter() - began) * 1000
        return {"ms": took, "kb": sum(sizes) / 1024, "parts": len(parts)}

    async def open(self, *, count: int) -> int:
        """Open so many pages, which look until they are closed."""
        self._looking = [asyncio.create_task(self._look()) for _ in range(count)]
        return count

    async def close(self) -> list[float]:
        """Close all pages; return how long each fetch of one took, in ms."""
        for page in self._looking:
            page.cancel()
        await asyncio.gather(*self._looking, return_exceptions=True)
        fetched, self._fetched = self._fetched, []
        return fetched

    async def _look(self) -> None:
        page = (await self._http.get("/")).text
        found = re.search(r'data-position="(\d+)"', page)
        after = found[1] if found else "0"
        async with self._http.stream("GET", f"/ui/live?after={after}", timeout=None) as stream:
            due = 0.0
            async for line in stream.aiter_lines():
                if line.startswith("event: news") and time.perf_counter() >= due:
                    due = time.perf_counter() + PAUSE_S
                    await self._fetch()

    async def _fetch(self) -> None:
        began = time.perf_counter()
        (await self._http.get("/")).raise_for_status()
        self._fetched.append((time.perf_counter() - began) * 1000)


async def main(told: dict[str, Any]) -> None:
    """Sign in, then do what the benchmark says."""
    viewers = Viewers(told["url"], told["secret"])
    say("ready")
    async for order in orders():
        say(await getattr(viewers, order.pop("do"))(**order))


if __name__ == "__main__":
    uvloop.run(main(options()))
