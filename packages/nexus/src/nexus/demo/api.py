"""Where the demo talks to its Nexus, over HTTP like everybody else."""

import uuid
from types import TracebackType
from typing import Any, Self

import httpx2

from nexus.demo.errors import DemoFailed

_TIMEOUT_S = 20.0


class Api:
    """An admin's way into Nexus.

    Raises (any method that sends):
        DemoFailed: Nexus refused or did not answer.
    """

    def __init__(self, url: str, client_id: str, client_secret: str, link: str = "") -> None:
        self.url = url
        self.link = link
        self._http = httpx2.AsyncClient(base_url=url, timeout=_TIMEOUT_S, trust_env=False)
        self._form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
        }

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def get(self, path: str, **query: Any) -> Any:
        """Return what is at ``path``."""
        return await self._send("GET", path, params=query)

    async def post(self, path: str, **body: Any) -> Any:
        """Carry out a command, once however often it is sent, and return its answer."""
        key = {"Idempotency-Key": str(uuid.uuid4())}
        return await self._send("POST", path, json=body, headers=key)

    async def _send(self, method: str, path: str, **more: Any) -> Any:
        try:
            answer = await self._http.request(method, path, **more)
            if answer.status_code == httpx2.codes.UNAUTHORIZED:  # no token yet, or an old one
                await self._log_in()
                answer = await self._http.request(method, path, **more)
        except httpx2.HTTPError as error:
            raise DemoFailed(f"Nexus at {self.url} does not answer: {error!r}") from error
        if not answer.is_success:
            raise DemoFailed(f"{method} {path}: {answer.text}")
        return answer.json()

    async def _log_in(self) -> None:
        answer = await self._http.post("/auth/token", data=self._form)
        if not answer.is_success:
            raise DemoFailed(f"Nexus refused the admin's credentials: {answer.text}")
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
