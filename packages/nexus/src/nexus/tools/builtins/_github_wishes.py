"""Where it is told what the tool ``github`` does: pull requests, issues, comments and files.

By GitHub's REST API, https://docs.github.com/en/rest.
"""

import base64
import binascii
from typing import Annotated, Any, ClassVar, Literal

from gidgethub.abc import GitHubAPI
from pydantic import Field, StringConstraints, field_validator

from nexus.tools.builtins._wishes import Wish
from nexus.tools.provider import ToolError
from oblivion.protocol import ToolCode

Repo = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,99}/[A-Za-z0-9_.-]{1,100}$"),
    Field(description="owner/name, such as my-org/my-repo"),
]
Title = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Body = Annotated[
    str, StringConstraints(min_length=1, max_length=60_000), Field(description="Markdown")
]
Branch = Annotated[str, StringConstraints(min_length=1, max_length=250)]
Number = Annotated[int, Field(ge=1, le=10**9, description="of the issue or the pull request")]
State = Literal["open", "closed", "all"]
Limit = Annotated[int, Field(ge=1, le=100, description="the newest so many")]

_LONGEST_BODY = 8_000


class _OfRepository(Wish[GitHubAPI]):
    """What concerns a repository."""

    repo: Repo

    @field_validator("repo")
    @classmethod
    def _is_a_name(cls, repo: str) -> str:
        if repo.rpartition("/")[2] in {".", ".."}:
            raise ValueError("is no repository")
        return repo

    @property
    def names(self) -> dict[str, Any]:
        """The parts of the address that are to be filled in."""
        owner, _, name = self.repo.partition("/")
        return {"owner": owner, "name": name}


_REPO = "/repos/{owner}/{name}"


class CreatePr(_OfRepository):
    """Open a pull request from a branch; without a base it goes to the default branch."""

    action: ClassVar[str] = "create_pr"
    title: Title
    branch: Annotated[Branch, Field(description="the branch with the changes")]
    base: Annotated[Branch | None, Field(description="the branch that they go to")] = None
    body: Body | None = None
    draft: bool = False

    async def carry_out(self, means: GitHubAPI) -> Any:
        """Open it, and return it."""
        base = self.base
        if base is None:
            base = (await means.getitem(_REPO, self.names))["default_branch"]
        wanted = {"title": self.title, "head": self.branch, "base": base, "draft": self.draft}
        said = {} if self.body is None else {"body": self.body}
        return _pull(await means.post(f"{_REPO}/pulls", self.names, data=wanted | said))


class GetPr(_OfRepository):
    """Read a pull request."""

    action: ClassVar[str] = "get_pr"
    idempotent: ClassVar[bool] = True
    number: Number

    async def carry_out(self, means: GitHubAPI) -> Any:
        """Return it, with what it says."""
        where = self.names | {"number": str(self.number)}
        return _with_body(_pull, await means.getitem(f"{_REPO}/pulls/{{number}}", where))


class ListPrs(_OfRepository):
    """List pull requests, the newest first."""

    action: ClassVar[str] = "list_prs"
    idempotent: ClassVar[bool] = True
    state: State = "open"
    limit: Limit = 30

    async def carry_out(self, means: GitHubAPI) -> Any:
        """Return them, without what they say."""
        asked = self.names | {"state": self.state, "per_page": str(self.limit)}
        found = await means.getitem(f"{_REPO}/pulls{{?state,per_page}}", asked)
        return [_pull(one) for one in found]


class CreateIssue(_OfRepository):
    """Open an issue."""

    action: ClassVar[str] = "create_issue"
    title: Title
    body: Body | None = None
    labels: Annotated[list[str], Field(max_length=100)] = Field(default_factory=list)

    async def carry_out(self, means: GitHubAPI) -> Any:
        """Open it, and return it."""
        wanted = self.model_dump(include={"title", "body", "labels"}, exclude_none=True)
        return _issue(await means.post(f"{_REPO}/issues", self.names, data=wanted))


class GetIssue(_OfRepository):
    """Read an issue."""

    action: ClassVar[str] = "get_issue"
    idempotent: ClassVar[bool] = True
    number: Number

    async def carry_out(self, means: GitHubAPI) -> Any:
        """Return it, with what it says."""
        where = self.names | {"number": str(self.number)}
        return _with_body(_issue, await means.getitem(f"{_REPO}/issues/{{number}}", where))


class ListIssues(_OfRepository):
    """List issues, the newest first; without pull requests."""

    action: ClassVar[str] = "list_issues"
    idempotent: ClassVar[bool] = True
    state: State = "open"
    limit: Limit = 30

    async def carry_out(self, means: GitHubAPI) -> Any:
        """Return them, without what they say; GitHub counts pull requests into the limit."""
        asked = self.names | {"state": self.state, "per_page": str(self.limit)}
        found = await means.getitem(f"{_REPO}/issues{{?state,per_page}}", asked)
        return [_issue(one) for one in found if "pull_request" not in one]


class Comment(_OfRepository):
    """Comment on an issue or a pull request."""

    action: ClassVar[str] = "comment"
    number: Number
    body: Body

    async def carry_out(self, means: GitHubAPI) -> Any:
        """Say it, and return where it stands."""
        where = self.names | {"number": str(self.number)}
        url = f"{_REPO}/issues/{{number}}/comments"
        said = await means.post(url, where, data={"body": self.body})
        return {"id": said["id"], "url": said["html_url"]}


class ListComments(_OfRepository):
    """Read the comments on an issue or a pull request, the oldest first."""

    action: ClassVar[str] = "list_comments"
    idempotent: ClassVar[bool] = True
    number: Number
    limit: Annotated[int, Field(ge=1, le=100, description="the oldest so many")] = 30

    async def carry_out(self, means: GitHubAPI) -> Any:
        """Return them."""
        asked = self.names | {"number": str(self.number), "per_page": str(self.limit)}
        url = f"{_REPO}/issues/{{number}}/comments{{?per_page}}"
        return [_comment(one) for one in await means.getitem(url, asked)]


class GetFile(_OfRepository):
    """Read a text file, or list a folder."""

    action: ClassVar[str] = "get_file"
    idempotent: ClassVar[bool] = True
    path: Annotated[str, Field(max_length=1000, description="empty for the repository's root")]
    ref: Annotated[Branch | None, Field(description="a branch, a tag or a commit")] = None

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        if {".", ".."} & set(path.split("/")):
            raise ValueError("must name a file from the root of the repository")
        return path

    async def carry_out(self, means: GitHubAPI) -> Any:
        """Return the text, or the names."""
        parts = [part for part in self.path.split("/") if part]
        where = self.names | {"parts": parts, "ref": self.ref}
        found = await means.getitem(f"{_REPO}/contents{{/parts*}}{{?ref}}", where)
        if isinstance(found, list):
            return {"path": self.path, "entries": [_entry(one) for one in found]}
        return {"path": found["path"], "sha": found["sha"], "text": _text(found)}


WISHES: list[type[Wish[GitHubAPI]]] = [
    CreatePr,
    GetPr,
    ListPrs,
    CreateIssue,
    GetIssue,
    ListIssues,
    Comment,
    ListComments,
    GetFile,
]


def _pull(one: Any) -> dict[str, Any]:
    more = {"branch": one["head"]["ref"], "base": one["base"]["ref"], "draft": one.get("draft")}
    return {**_issue(one), **more}


def _issue(one: Any) -> dict[str, Any]:
    return {
        "number": one["number"],
        "url": one["html_url"],
        "title": one["title"],
        "state": one["state"],
        "author": (one.get("user") or {}).get("login"),
        "labels": [label["name"] for label in one.get("labels", [])],
    }


def _with_body(show: Any, one: Any) -> dict[str, Any]:
    return {**show(one), "body": _cut(one.get("body") or "")}


def _comment(one: Any) -> dict[str, Any]:
    author = (one.get("user") or {}).get("login")
    return {"id": one["id"], "url": one["html_url"], "author": author, "body": _cut(one["body"])}


def _cut(text: str) -> str:
    if len(text) <= _LONGEST_BODY:
        return text
    return f"{text[:_LONGEST_BODY]}... ({len(text)} characters)"


def _entry(one: Any) -> dict[str, Any]:
    return {"path": one["path"], "type": one["type"], "size": one["size"]}


def _text(found: Any) -> str:
    if found["type"] != "file":
        raise ToolError(f"{found['path']} is a {found['type']}, not a file")
    if found.get("encoding") != "base64":
        raise ToolError(f"{found['path']} is too large to be read", ToolCode.RESULT_TOO_LARGE)
    try:
        return base64.b64decode(found["content"]).decode()
    except (binascii.Error, UnicodeDecodeError):
        error = f"{found['path']} is binary, and agents are sent text alone"
        raise ToolError(error, ToolCode.RESULT_REFUSED) from None
