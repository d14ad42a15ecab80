"""Where pages of other origins are let in or kept out (CORS); without a list none is let in."""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from nexus.api.door import IDEMPOTENCY_KEY
from nexus.api.problems import problem

_METHODS = ("GET", "POST", "PATCH", "DELETE")


def opened_for(origins: Sequence[str]) -> list[Middleware]:
    """Return what lets pages of these origins call the API; nothing where there are none."""
    if not origins:
        return []
    return [
        Middleware(
            _Origins,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=("Authorization", IDEMPOTENCY_KEY, "traceparent"),
            expose_headers=("Location", "Retry-After", "Idempotency-Replayed"),
        )
    ]


class _Origins(CORSMiddleware):
    """Starlette's, with refusals in the form of all others."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a browser that asks beforehand."""
        answer = super().preflight_response(request_headers)
        if answer.status_code < 400:
            return answer
        said = bytes(answer.body).decode()
        kept = {name: answer.headers[name] for name in ("vary",) if name in answer.headers}
        return problem(400, "bad_request", f"{said}; see the setting cors_origins", headers=kept)
