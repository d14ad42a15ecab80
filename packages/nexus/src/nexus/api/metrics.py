"""Where requests are counted; ``/metrics`` shows these numbers and whatever else is registered."""

import time
from functools import lru_cache

from prometheus_client import REGISTRY, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["REGISTRY", "RequestMetrics"]

_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})

_requests = Counter(
    "nexus_http_requests", "Answered requests", ["method", "route", "status"], registry=REGISTRY
)
_seconds = Histogram(
    "nexus_http_request_seconds",
    "From the request's start to its answer's",
    ["method", "route"],
    registry=REGISTRY,
)


class RequestMetrics:
    """Counts answers by route, never by path, so that callers cannot make up series."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, and count the answer when it starts."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def count(message: Message) -> None:
            if message["type"] == "http.response.start":
                _count(scope, message["status"], time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, count)


def _count(scope: Scope, status: int, seconds: float) -> None:
    method = scope["method"] if scope["method"] in _METHODS else "other"
    answers, durations = _series(method, getattr(scope.get("route"), "path", "unmatched"), status)
    answers.inc()
    durations.observe(seconds)


@lru_cache(maxsize=1024)
def _series(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """Return where such answers are counted; to look the labels up takes longer than to count."""
    return _requests.labels(method, route, str(status)), _seconds.labels(method, route)
