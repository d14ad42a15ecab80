"""Where a GitHub for tests is offered: real HTTP, GitHub's own rules, answers and limits."""

from nexus.testing.github._errors import GitHubTestingError, NotThereError, RefusedError
from nexus.testing.github._limits import CutAfter, Fault, Hangs, SecondaryLimit, ServerFails
from nexus.testing.github._repositories import Comment, Issue, Repository
from nexus.testing.github._server import GitHubServer, Request

__all__ = [
    "Comment",
    "CutAfter",
    "Fault",
    "GitHubServer",
    "GitHubTestingError",
    "Hangs",
    "Issue",
    "NotThereError",
    "RefusedError",
    "Repository",
    "Request",
    "SecondaryLimit",
    "ServerFails",
]
