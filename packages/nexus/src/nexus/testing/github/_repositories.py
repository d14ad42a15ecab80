"""Where what stands on the GitHub of tests is kept: repositories with files, pulls and issues."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from nexus.testing.github._errors import NotThereError

Json = dict[str, Any]
_TIME = "2026-01-01T00:00:00Z"


@dataclass(kw_only=True)
class Comment:
    """What somebody said about an issue or a pull request."""

    id: int
    body: str
    author: str


@dataclass(kw_only=True)
class Issue:
    """An issue, or a pull request when it has a ``head``: GitHub numbers them as one."""

    number: int
    title: str
    body: str | None
    author: str
    state: str = "open"
    labels: list[str] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    head: str | None = None
    base: str | None = None
    draft: bool = False

    @property
    def is_pull(self) -> bool:
        """Whether this is a pull request."""
        return self.head is not None


class Repository:
    """A repository; ``branches`` maps names to files, and files are bytes by path."""

    def __init__(self, full_name: str, default_branch: str = "main") -> None:
        self.full_name = full_name
        self.owner, _, self.name = full_name.partition("/")
        self.default_branch = default_branch
        self.moved_to: int | None = None
        self.issues: list[Issue] = []
        self.branches: dict[str, dict[str, bytes]] = {default_branch: {}}

    def add_branch(self, name: str, **files: str) -> None:
        """Add a branch that is one commit ahead of the default one; ``files`` stand on it."""
        there = self.branches[self.default_branch]
        new = {path: text.encode() for path, text in files.items()} or {name: b"new"}
        self.branches[name] = {**there, **new}

    def write(self, path: str, content: str | bytes, *, branch: str | None = None) -> None:
        """Put a file on a branch, by default on the default one."""
        content = content.encode() if isinstance(content, str) else content
        self.branches[branch or self.default_branch][path] = content

    @property
    def pulls(self) -> list[Issue]:
        """The pull requests, oldest first."""
        return [issue for issue in self.issues if issue.is_pull]

    def add_issue(self, title: str, author: str, **more: Any) -> Issue:
        """Add an issue or a pull request under the next number."""
        number = len(self.issues) + 1
        issue = Issue(number=number, title=title, author=author, **{"body": None, **more})
        self.issues.append(issue)
        return issue

    def issue(self, number: int) -> Issue:
        """Return an issue or a pull request.

        Raises:
            NotThereError: there is none of that number.
        """
        for issue in self.issues:
            if issue.number == number:
                return issue
        raise NotThereError(f"{self.full_name} has no number {number}")


class Pages:
    """How this GitHub shows what it has, as JSON with its addresses."""

    def __init__(self, url: str) -> None:
        self.url = url

    def repository(self, repo: Repository) -> Json:
        """Return a repository as GitHub shows it."""
        return {
            "id": _id(repo.full_name),
            "name": repo.name,
            "full_name": repo.full_name,
            "private": True,
            "owner": _user(repo.owner),
            "html_url": f"{self.url}/{repo.full_name}",
            "url": f"{self.url}/api/v3/repos/{repo.full_name}",
            "default_branch": repo.default_branch,
        }

    def pull(self, repo: Repository, pull: Issue) -> Json:
        """Return a pull request as GitHub shows it."""
        return {
            **self._both(repo, pull, "pull"),
            "draft": pull.draft,
            "merged": False,
            "head": _ref(repo, pull.head or ""),
            "base": _ref(repo, pull.base or ""),
        }

    def issue(self, repo: Repository, issue: Issue) -> Json:
        """Return an issue as GitHub shows it; a pull request is one, too."""
        shown = self._both(repo, issue, "pull" if issue.is_pull else "issues")
        if issue.is_pull:
            shown["pull_request"] = {"html_url": shown["html_url"]}
        return shown

    def comment(self, repo: Repository, issue: Issue, comment: Comment) -> Json:
        """Return a comment as GitHub shows it."""
        kind = "pull" if issue.is_pull else "issues"
        page = f"{self.url}/{repo.full_name}/{kind}/{issue.number}"
        return {
            "id": comment.id,
            "html_url": f"{page}#issuecomment-{comment.id}",
            "body": comment.body,
            "user": _user(comment.author),
            "created_at": _TIME,
        }

    def _both(self, repo: Repository, issue: Issue, kind: str) -> Json:
        return {
            "id": _id(f"{repo.full_name}#{issue.number}"),
            "number": issue.number,
            "state": issue.state,
            "title": issue.title,
            "body": issue.body,
            "user": _user(issue.author),
            "labels": [{"name": label} for label in issue.labels],
            "comments": len(issue.comments),
            "html_url": f"{self.url}/{repo.full_name}/{kind}/{issue.number}",
            "created_at": _TIME,
            "updated_at": _TIME,
        }


def sha_of(content: bytes) -> str:
    """Return the id that git gives a file of this content."""
    header = f"blob {len(content)}\0".encode()
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()


def _ref(repo: Repository, branch: str) -> Json:
    sha = sha_of(repr(sorted(repo.branches.get(branch, {}).items())).encode())
    return {"ref": branch, "label": f"{repo.owner}:{branch}", "sha": sha}


def _user(login: str) -> Json:
    return {"login": login, "id": _id(login), "type": "User"}


def _id(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
