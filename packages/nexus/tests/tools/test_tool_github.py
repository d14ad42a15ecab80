"""The tool ``github`` against a GitHub of the tests' own: real HTTP, GitHub's rules and limits."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from nexus.domain.tool_catalogue import check_action, misfit
from nexus.testing.github import (
    CutAfter,
    GitHubServer,
    Hangs,
    Repository,
    SecondaryLimit,
    ServerFails,
)
from nexus.tools.builtins import GitHub
from nexus.tools.provider import ToolError
from oblivion.protocol import ToolCode
from running_tools import running

REPO = "my-org/my-repo"
PULL = {"repo": REPO, "title": "Fix bug", "branch": "feature-branch"}


@pytest.fixture
async def github() -> AsyncIterator[GitHubServer]:
    async with GitHubServer.running() as github:
        yield github


@pytest.fixture
def repo(github: GitHubServer) -> Repository:
    repo = github.add_repository(REPO)
    repo.write("README.md", "Hello ☕\n")
    repo.write("src/app.py", "print()\n")
    repo.add_branch("feature-branch")
    return repo


@pytest.fixture
async def tool(github: GitHubServer) -> AsyncIterator[GitHub]:
    async with running(GitHub(github.token, github.api_url)) as tool:
        yield tool


async def refused(tool: GitHub, action: str, params: dict[str, Any], seconds: float = 5) -> Any:
    with pytest.raises(ToolError) as caught:
        await tool.call(action, params, seconds)
    return caught.value


async def test_a_pull_request_goes_to_the_default_branch(tool: GitHub, repo: Repository) -> None:
    opened = await tool.call("create_pr", PULL, 5)
    (pull,) = repo.pulls
    assert (pull.title, pull.head, pull.base, pull.draft) == (
        "Fix bug", "feature-branch", "main", False,
    )  # fmt: skip
    assert opened["url"].endswith(f"/{REPO}/pull/1")
    assert (opened["number"], opened["branch"], opened["base"]) == (1, "feature-branch", "main")
    assert await tool.call("list_prs", {"repo": REPO}, 5) == [opened]
    got = await tool.call("get_pr", {"repo": REPO, "number": 1}, 5)
    assert got == {**opened, "body": ""}


async def test_issues_and_comments_are_made_and_read(tool: GitHub, repo: Repository) -> None:
    wish = {"repo": REPO, "title": "It breaks", "body": "Look", "labels": ["bug"]}
    made = await tool.call("create_issue", wish, 5)
    assert (repo.issues[0].body, repo.issues[0].labels) == ("Look", ["bug"])
    await tool.call("create_pr", PULL, 5)
    assert await tool.call("list_issues", {"repo": REPO}, 5) == [made]
    said = {"repo": REPO, "number": 1, "body": "**Seen**"}
    comment = await tool.call("comment", said, 5)
    assert repo.issues[0].comments[0].body == "**Seen**"
    (read,) = await tool.call("list_comments", {"repo": REPO, "number": 1}, 5)
    assert read == {**comment, "author": "nexus-bot", "body": "**Seen**"}
    assert (await tool.call("get_issue", {"repo": REPO, "number": 1}, 5))["body"] == "Look"


async def test_files_are_text_and_folders_are_lists(tool: GitHub, repo: Repository) -> None:
    read = await tool.call("get_file", {"repo": REPO, "path": "README.md"}, 5)
    assert read["text"] == "Hello ☕\n"
    root = await tool.call("get_file", {"repo": REPO, "path": ""}, 5)
    assert [entry["path"] for entry in root["entries"]] == ["README.md", "src"]
    on = {"repo": REPO, "path": "feature-branch", "ref": "feature-branch"}
    assert (await tool.call("get_file", on, 5))["text"] == "new"


async def test_binary_and_huge_files_are_not_sent(tool: GitHub, repo: Repository) -> None:
    repo.write("logo.png", b"\x89PNG\xff")
    repo.write("huge.txt", b"x" * (1024 * 1024 + 1))
    binary = await refused(tool, "get_file", {"repo": REPO, "path": "logo.png"})
    assert binary.code == ToolCode.RESULT_REFUSED
    huge = await refused(tool, "get_file", {"repo": REPO, "path": "huge.txt"})
    assert huge.code == ToolCode.RESULT_TOO_LARGE


@pytest.mark.parametrize(
    ("params", "part"),
    [
        ({**PULL, "branch": "nowhere"}, "(422): Validation Failed for 'head'"),
        ({**PULL, "branch": "main"}, "No commits between main and main"),
        ({**PULL, "repo": "my-org/other"}, "finds no such thing"),
    ],
)
async def test_what_github_refuses_is_told_with_its_reason(
    tool: GitHub, repo: Repository, params: dict[str, Any], part: str
) -> None:
    error = await refused(tool, "create_pr", params)
    assert part in error.message
    assert (error.code, repo.pulls) == (ToolCode.TOOL_FAILED, [])


async def test_a_second_pull_request_of_a_branch_is_refused(tool: GitHub, repo: Repository) -> None:
    await tool.call("create_pr", PULL, 5)
    error = await refused(tool, "create_pr", PULL)
    assert "A pull request already exists for my-org:feature-branch." in error.message
    assert len(repo.pulls) == 1


@pytest.mark.parametrize(
    ("action", "params"),
    [
        ("create_pr", {**PULL, "repo": "../../user"}),
        ("create_pr", {**PULL, "repo": "my-org/.."}),
        ("create_pr", {**PULL, "repo": "my-org/my-repo/../other"}),
        ("create_pr", {**PULL, "repo": "my-org/my-repo?x="}),
        ("create_pr", {**PULL, "repo": "my-org/my-repo\n"}),
        ("get_file", {"repo": REPO, "path": "../../other/contents/x"}),
        ("get_file", {"repo": REPO, "path": "a/./b"}),
        ("comment", {"repo": REPO, "number": "1/../2", "body": "x"}),
    ],
)
async def test_nothing_leads_out_of_the_repository_that_is_named(
    tool: GitHub, github: GitHubServer, repo: Repository, action: str, params: dict[str, Any]
) -> None:
    assert (await refused(tool, action, params)).code == ToolCode.INVALID_PARAMS
    assert github.requests == []


async def test_odd_paths_stay_one_path(
    tool: GitHub, github: GitHubServer, repo: Repository
) -> None:
    repo.write("a b/%2e%2e#?x.txt", "odd")
    read = await tool.call("get_file", {"repo": REPO, "path": "a b/%2e%2e#?x.txt"}, 5)
    assert read["text"] == "odd"


async def test_a_repository_that_moved_is_not_followed(tool: GitHub, repo: Repository) -> None:
    repo.moved_to = 7
    for action, params in (("create_pr", PULL), ("get_file", {"repo": REPO, "path": "README.md"})):
        assert (await refused(tool, action, params)).message.startswith("the repository has moved")


async def test_a_void_token_is_a_matter_for_an_admin(
    tool: GitHub, github: GitHubServer, repo: Repository
) -> None:
    token = github.token
    github.revoke_token()
    error = await refused(tool, "list_prs", {"repo": REPO})
    assert (error.code, token in error.message) == (ToolCode.TOOL_UNAVAILABLE, False)


async def test_a_token_without_the_right_is_told_so(
    tool: GitHub, github: GitHubServer, repo: Repository
) -> None:
    github.read_only = True
    error = await refused(tool, "create_pr", PULL)
    assert "may not do this (403): Resource not accessible" in error.message


@pytest.mark.parametrize("status", [403, 429])
async def test_a_secondary_limit_is_waited_for(
    tool: GitHub, github: GitHubServer, repo: Repository, status: int
) -> None:
    github.fail(SecondaryLimit(retry_after_s=1, status=status))
    began = time.monotonic()
    await tool.call("create_pr", {**PULL, "base": "main"}, 10)
    assert time.monotonic() - began >= 1
    assert ([r.status for r in github.requests], len(repo.pulls)) == ([status, 201], 1)


async def test_a_limit_that_lasts_too_long_is_told(
    tool: GitHub, github: GitHubServer, repo: Repository
) -> None:
    github.fail(SecondaryLimit(retry_after_s=90))
    error = await refused(tool, "create_pr", PULL)
    assert error.message == "GitHub's rate limit is reached; try again in 90 s"
    github.limit.remaining = 0
    error = await refused(tool, "list_prs", {"repo": REPO})
    assert "try again in 3" in error.message
    assert len(github.requests) == 2


@pytest.mark.parametrize("fault", [ServerFails(late=True), CutAfter()])
async def test_a_lost_answer_to_a_write_is_an_unknown_outcome(
    tool: GitHub, github: GitHubServer, repo: Repository, fault: ServerFails | CutAfter
) -> None:
    github.fail(fault)
    error = await refused(tool, "create_pr", {**PULL, "base": "main"})
    assert (error.code, len(repo.pulls)) == (ToolCode.OUTCOME_UNKNOWN, 1)


async def test_a_failure_before_the_write_had_no_effect(
    tool: GitHub, github: GitHubServer, repo: Repository
) -> None:
    github.fail(ServerFails())  # meets the question for the default branch
    error = await refused(tool, "create_pr", PULL)
    assert (error.code, repo.pulls) == (ToolCode.TOOL_FAILED, [])


async def test_a_github_that_hangs_holds_nothing_up(
    tool: GitHub, github: GitHubServer, repo: Repository
) -> None:
    github.fail(Hangs())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(tool.call("list_prs", {"repo": REPO}, 5), 0.2)
    assert await tool.call("list_prs", {"repo": REPO}, 5) == []


async def test_a_github_that_is_not_there_is_unavailable() -> None:
    async with running(GitHub("t", "http://127.0.0.1:9")) as tool:
        error = await refused(tool, "list_prs", {"repo": REPO})
    assert error.code == ToolCode.TOOL_UNAVAILABLE


async def test_a_proxy_of_the_environment_does_not_see_the_token(
    tool: GitHub, repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await tool.call("list_prs", {"repo": REPO}, 5) == []


async def test_every_action_has_a_schema_that_says_what_fits(tool: GitHub) -> None:
    actions = {one.action: one for one in await tool.list_tools()}
    for action in actions.values():
        check_action(action)
        assert action.description
    assert misfit(actions["create_pr"].input_schema, PULL) is None
    assert misfit(actions["create_pr"].input_schema, {**PULL, "repo": "no"}) is not None
    assert misfit(actions["create_pr"].input_schema, {**PULL, "more": 1}) is not None
    writing = {name for name, one in actions.items() if not one.idempotent}
    assert writing == {"create_pr", "create_issue", "comment"}
