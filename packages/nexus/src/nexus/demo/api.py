"""Where the demo talks to its Nexus, over HTTP like everybody else."""

import uuid
from types import TracebackType
from typing import Any, Self

import httpx

from nexus.demo.errors import DemoFailed

_TIMEOUT_S = 20.0


class Api:
    """An admin's way into Nexus.

    Raises (any method that sends):
        DemoFailed: Nexus refused or did not answer.
    """

    def __init__(self, url: str, client_id: str, client_secret: str) -> None:
        self.url = url
        self._http = httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_S, trust_env=False)
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
        return await self._send(self._http.build_request("GET", path, params=query))

    async def post(self, path: str, **body: Any) -> Any:
        """Carry out a command and return its answer."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return await self._send(self._http.build_request("POST", path, json=body, headers=headers))

    async def _send(self, request: httpx.Request) -> Any:
        try:
            answer = await self._send_authorized(request)
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                await self._log_in()
                answer = await self._send_authorized(request)
        except httpx.HTTPError as error:
            raise DemoFailed(f"Nexus at {self.url} does not answer: {error!r}") from error
        if not answer.is_success:
            raise DemoFailed(f"{request.method} {request.url.path}: {answer.text}")
        return answer.json()

    async def _send_authorized(self, request: httpx.Request) -> httpx.Response:
        request.headers.update(
            {name: value for name, value in self._http.headers.items() if name == "authorization"}
        )
        return await self._http.send(request)

    async def _log_in(self) -> None:
        answer = await self._http.post("/auth/token", data=self._form)
        if not answer.is_success:
            raise DemoFailed(f"Nexus refused the admin's credentials: {answer.text}")
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
