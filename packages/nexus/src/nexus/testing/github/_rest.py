"""Where GitHub's REST API is answered: the requests that tests may make, by GitHub's own rules."""

import base64
import json
from collections.abc import Sequence
from typing import Any, TypeVar

from aiohttp import web

from nexus.testing.github._errors import (
    NotThereError,
    RefusedError,
    custom,
    invalid,
    missing,
    not_found,
)
from nexus.testing.github._repositories import Comment, Issue, Json, Pages, Repository, sha_of

T = TypeVar("T")
_LARGEST_INLINE = 1024 * 1024


class Rest:
    """Answers requests over the repositories of a GitHub, in the name of one user."""

    def __init__(self, repositories: dict[str, Repository], login: str) -> None:
        self.repositories = repositories
        self.login = login
        self.pages = Pages("")

    def routes(self, prefix: str) -> Sequence[web.RouteDef]:
        """Return what is answered, under a prefix."""
        repo = f"{prefix}/repos/{{owner}}/{{repo}}"
        return [
            web.get(f"{prefix}/user", self._user),
            web.get(repo, self._repository),
            web.get(f"{repo}/pulls", self._list_pulls),
            web.post(f"{repo}/pulls", self._create_pull),
            web.get(f"{repo}/pulls/{{number}}", self._pull),
            web.get(f"{repo}/issues", self._list_issues),
            web.post(f"{repo}/issues", self._create_issue),
            web.get(f"{repo}/issues/{{number}}", self._issue),
            web.get(f"{repo}/issues/{{number}}/comments", self._list_comments),
            web.post(f"{repo}/issues/{{number}}/comments", self._create_comment),
            web.get(f"{repo}/contents{{path:(/.*)?}}", self._contents),
        ]

    async def _user(self, _request: web.Request) -> web.Response:
        return web.json_response({"login": self.login, "type": "User"})

    async def _repository(self, request: web.Request) -> web.Response:
        return web.json_response(self.pages.repository(self._repo(request)))

    async def _list_pulls(self, request: web.Request) -> web.Response:
        repo = self._repo(request)
        found = [pull for pull in repo.pulls if _is_asked_for(request, pull)]
        shown = [self.pages.pull(repo, pull) for pull in reversed(found)]
        return web.json_response(_page(request, shown))

    async def _create_pull(self, request: web.Request) -> web.Response:
        repo, wish = self._repo(request), await _body(request)
        _require(wish, "head", "base")
        head, base = str(wish["head"]).removeprefix(f"{repo.owner}:"), str(wish["base"])
        if not wish.get("title"):
            raise invalid("PullRequest", field="title", code="missing_field")
        for field, branch in (("head", head), ("base", base)):
            if branch not in repo.branches:
                raise invalid("PullRequest", field=field, code="invalid")
        if repo.branches[head] == repo.branches[base]:
            raise custom("PullRequest", f"No commits between {base} and {head}")
        if any((p.head, p.base, p.state) == (head, base, "open") for p in repo.pulls):
            message = f"A pull request already exists for {repo.owner}:{head}."
            raise custom("PullRequest", message)
        draft = bool(wish.get("draft"))
        pull = repo.add_issue(
            wish["title"], self.login, body=wish.get("body"), head=head, base=base, draft=draft
        )
        return web.json_response(self.pages.pull(repo, pull), status=201)

    async def _pull(self, request: web.Request) -> web.Response:
        repo, issue = self._numbered(request)
        if not issue.is_pull:
            raise not_found()
        return web.json_response(self.pages.pull(repo, issue))

    async def _list_issues(self, request: web.Request) -> web.Response:
        repo = self._repo(request)
        found = [issue for issue in repo.issues if _is_asked_for(request, issue)]
        shown = [self.pages.issue(repo, issue) for issue in reversed(found)]
        return web.json_response(_page(request, shown))

    async def _create_issue(self, request: web.Request) -> web.Response:
        repo, wish = self._repo(request), await _body(request)
        _require(wish, "title")
        if not wish["title"]:
            raise invalid("Issue", field="title", code="missing_field")
        labels = list(wish.get("labels", []))
        issue = repo.add_issue(wish["title"], self.login, body=wish.get("body"), labels=labels)
        return web.json_response(self.pages.issue(repo, issue), status=201)

    async def _issue(self, request: web.Request) -> web.Response:
        repo, issue = self._numbered(request)
        return web.json_response(self.pages.issue(repo, issue))

    async def _list_comments(self, request: web.Request) -> web.Response:
        repo, issue = self._numbered(request)
        shown = [self.pages.comment(repo, issue, comment) for comment in issue.comments]
        return web.json_response(_page(request, shown))

    async def _create_comment(self, request: web.Request) -> web.Response:
        repo, issue = self._numbered(request)
        wish = await _body(request)
        _require(wish, "body")
        number = 1000 * issue.number + len(issue.comments)
        comment = Comment(id=number, body=wish["body"], author=self.login)
        issue.comments.append(comment)
        return web.json_response(self.pages.comment(repo, issue, comment), status=201)

    async def _contents(self, request: web.Request) -> web.Response:
        repo, path = self._repo(request), request.match_info["path"].strip("/")
        branch = request.query.get("ref", repo.default_branch)
        if branch not in repo.branches:
            raise RefusedError(404, f"No commit found for the ref {branch}")
        files = repo.branches[branch]
        if path in files:
            return web.json_response(_file(path, files[path]))
        inside = sorted(_names_below(files, path))
        if not inside:
            raise not_found()
        return web.json_response(_inside(path, inside, files))

    def _repo(self, request: web.Request) -> Repository:
        name = f"{request.match_info['owner']}/{request.match_info['repo']}"
        repo = self.repositories.get(name.lower())
        if repo is None:
            raise not_found()
        if repo.moved_to is not None:
            there = f"{self.pages.url}/api/v3/repositories/{repo.moved_to}"
            raise RefusedError(301, "Moved Permanently", headers={"Location": there}, url=there)
        return repo

    def _numbered(self, request: web.Request) -> tuple[Repository, Issue]:
        repo, number = self._repo(request), request.match_info["number"]
        try:
            return repo, repo.issue(int(number))
        except (NotThereError, ValueError):
            raise not_found() from None


async def _body(request: web.Request) -> Json:
    try:
        body = json.loads(await request.read())
    except ValueError:
        raise RefusedError(400, "Problems parsing JSON") from None
    if not isinstance(body, dict):
        raise RefusedError(400, "Body should be a JSON object")
    return body


def _require(wish: Json, *fields: str) -> None:
    absent = [field for field in fields if field not in wish]
    if absent:
        raise missing(*absent)


def _is_asked_for(request: web.Request, issue: Issue) -> bool:
    state = request.query.get("state", "open")
    return state in {"all", issue.state}


def _page(request: web.Request, found: list[T]) -> list[T]:
    size = min(int(request.query.get("per_page", 30)), 100)
    first = (int(request.query.get("page", 1)) - 1) * size
    return found[first : first + size]


def _file(path: str, content: bytes) -> dict[str, Any]:
    inline = len(content) <= _LARGEST_INLINE
    return {
        **_entry(path, "file", content),
        "encoding": "base64" if inline else "none",
        "content": base64.encodebytes(content).decode() if inline else "",
    }


def _entry(path: str, kind: str, content: bytes) -> Json:
    name = path.rpartition("/")[2]
    return {"type": kind, "name": name, "path": path, "size": len(content), "sha": sha_of(content)}


def _names_below(files: dict[str, bytes], path: str) -> set[str]:
    start = f"{path}/" if path else ""
    return {name[len(start) :].split("/")[0] for name in files if name.startswith(start)}


def _inside(path: str, names: list[str], files: dict[str, bytes]) -> list[Json]:
    paths = [f"{path}/{name}".lstrip("/") for name in names]
    return [_entry(one, "file" if one in files else "dir", files.get(one, b"")) for one in paths]
