"""Where requests are counted, and what waits; ``/metrics`` shows all that is registered."""

import time
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nexus.services.resources import Backlog

__all__ = ["REGISTRY", "RequestMetrics", "show_backlog"]

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


_BOX = ["box"]
_pending = Gauge("nexus_deliveries_pending", "Deliveries that wait", _BOX, registry=REGISTRY)
_failed = Gauge("nexus_deliveries_failed", "Deliveries that failed", _BOX, registry=REGISTRY)
_oldest = Gauge(
    "nexus_deliveries_oldest_pending_seconds",
    "For how long the oldest of them waits",
    _BOX,
    registry=REGISTRY,
)


def show_backlog(boxes: Iterable[Backlog], now: datetime) -> None:
    """Show how deliveries stand; of boxes that are not named nothing is shown."""
    for gauge in (_pending, _failed, _oldest):
        gauge.clear()
    for box in boxes:
        _pending.labels(box.box).set(box.pending)
        _failed.labels(box.box).set(box.failed)
        since = box.oldest_pending_at
        _oldest.labels(box.box).set(0 if since is None else (now - since).total_seconds())


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
