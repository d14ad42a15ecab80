"""Where the errors live that a test may meet, and the refusals that GitHub answers with.

GitHubTestingError
├── NotThereError  what a test asks for is not on this GitHub (a LookupError, too)
└── RefusedError   GitHub refuses a request; it becomes an answer with GitHub's own body
"""

from collections.abc import Mapping
from typing import Any

_DOCS = "https://docs.github.com/rest"


class GitHubTestingError(Exception):
    """Anything that the GitHub of the tests raises."""


class NotThereError(GitHubTestingError, LookupError):
    """What a test asks for is not on this GitHub."""


class RefusedError(GitHubTestingError):
    """GitHub refuses: with a status, a message, and what else is in its body."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        page: str = "",
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body = {
            "message": message,
            **more,
            "documentation_url": f"{_DOCS}{page}",
            "status": str(status),
        }


def not_found() -> RefusedError:
    """Return what is said of what is not there, and of what a token may not see."""
    return RefusedError(404, "Not Found")


def invalid(resource: str, **error: str) -> RefusedError:
    """Return what is said of a request whose values do not do."""
    errors = [{"resource": resource, **error}]
    return RefusedError(422, "Validation Failed", errors=errors)


def custom(resource: str, message: str) -> RefusedError:
    """Return what is said of a request that breaks a rule without a code of its own."""
    return invalid(resource, code="custom", message=message)


def missing(*fields: str) -> RefusedError:
    """Return what is said when required fields are not there."""
    said = ", ".join(f'"{field}"' for field in fields)
    are = "wasn't" if len(fields) == 1 else "weren't"
    return RefusedError(422, f"Invalid request.\n\n{said} {are} supplied.")
