"""The commands for agents, groups and projects, against a real server."""

import pytest

from command_line import CommandLine, ServerProcess, Team, has_token
from scripted_peer import Answer, forwarding, peer


def test_a_new_agent_can_get_a_token_with_the_secret_that_is_shown(
    nexus: CommandLine, team: Team, server: ServerProcess
) -> None:
    made = nexus(
        *("agents", "create", "reviewer-1", "--name", "Code Reviewer", "--group", team.group),
        *("--capability", "python", "--capability", "ruff", "--email", "ada@example.org"),
        "--json",
    )
    assert (made.code, made.err) == (0, "")
    assert made.json["name"] == "Code Reviewer"
    assert made.json["capabilities"] == ["python", "ruff"]
    assert has_token(server.url, "reviewer-1", made.json["clientSecret"])
    assert "clientSecret" not in nexus("agents", "show", "reviewer-1", "--json").json


def test_people_are_told_that_a_secret_is_shown_once(nexus: CommandLine) -> None:
    made = nexus("agents", "create", "reviewer-2")
    assert "client secret  obv_" in made.out
    assert "does not show it again" in made.err


def test_a_chosen_secret_can_come_by_standard_input(
    nexus: CommandLine, server: ServerProcess
) -> None:
    made = nexus("agents", "create", "reviewer-3", "--secret", "-", stdin="a chosen secret\n")
    assert made.code == 0, made.err
    assert "a chosen secret" not in made.out + made.err
    assert has_token(server.url, "reviewer-3", "a chosen secret")


def test_a_secret_that_got_lost_with_the_connection_is_not_passed_over(
    nexus: CommandLine, server: ServerProcess
) -> None:
    forward = forwarding(server.url)
    lost: list[Answer] = []

    def lose_the_first(request: object) -> Answer | None:
        answer = forward(request)  # type: ignore[arg-type]  # a Request
        if answer.status == 201 and not lost:
            lost.append(answer)
            return None
        return answer

    with peer(lose_the_first) as proxy:
        made = nexus("agents", "create", "reviewer-4", "--url", proxy.url)
    assert made.code == 1
    assert "secret got lost" in made.err


def test_agents_are_found_by_client_id_and_by_id(nexus: CommandLine, team: Team) -> None:
    by_name = nexus("agents", "show", team.agent, "--json").json
    assert nexus("agents", "show", by_name["id"], "--json").json == by_name
    assert by_name["connectionStatus"] == "offline"
    assert team.agent in nexus("agents", "list").out


def test_waking_an_agent_is_recorded_for_it(nexus: CommandLine, team: Team) -> None:
    woken = nexus("agents", "wake", team.agent, "--message", "The build is red")
    assert (woken.code, woken.out) == (0, f"woke {team.agent}\n")
    assert "agent woken" in nexus("tail", "--since", "0", "--no-follow").out


def test_members_join_and_leave_a_group(nexus: CommandLine, team: Team) -> None:
    nexus("agents", "create", f"{team.agent}-b")
    added = nexus("groups", "add", team.group, f"{team.agent}-b", "--role", "lead", "--json")
    assert added.json["role"] == "lead"
    members = nexus("groups", "members", team.group, "--json").json["items"]
    assert [member["clientId"] for member in members] == [team.agent, f"{team.agent}-b"]
    assert nexus("groups", "remove", team.group, team.agent).code == 0
    members = nexus("groups", "members", team.group, "--json").json["items"]
    assert [member["clientId"] for member in members] == [f"{team.agent}-b"]


def test_removing_who_is_no_member_fails(nexus: CommandLine, team: Team) -> None:
    nexus("groups", "remove", team.group, team.agent)
    again = nexus("groups", "remove", team.group, team.agent)
    assert again.code == 1
    assert again.err.count("\n") == 1


def test_an_archived_group_is_no_longer_listed_but_still_shown(
    nexus: CommandLine, team: Team
) -> None:
    assert nexus("groups", "archive", team.group).out == f"archived {team.group}\n"
    listed = nexus("groups", "list", "--limit", "1000", "--json").json["items"]
    assert team.group not in [group["slug"] for group in listed]
    assert "archivedAt" in nexus("groups", "show", team.group, "--json").json


def test_projects_are_listed_by_group_and_counted(nexus: CommandLine, team: Team) -> None:
    listed = nexus("projects", "list", "--group", team.group, "--json").json
    assert [project["slug"] for project in listed["items"]] == [team.project]
    assert listed["items"][0]["dispatchPolicy"] == "claim"
    nexus("tasks", "create", "Waiting", "--project", team.project)
    stats = nexus("projects", "stats", team.project, "--json").json
    assert stats["tasks"]["todo"] == 1
    shown = nexus("projects", "stats", team.project).out.split()
    assert shown[:4] == ["todo", "1", "claimed", "0"]


def test_an_archived_project_takes_no_tasks(nexus: CommandLine, team: Team) -> None:
    assert nexus("projects", "archive", team.project).code == 0
    refused = nexus("tasks", "create", "Too late", "--project", team.project)
    assert refused.code == 1
    assert "archived" in refused.err


def test_ids_stay_whole_on_a_narrow_terminal(nexus: CommandLine, team: Team) -> None:
    for command in ("agents list", "groups list", "projects list"):
        items = nexus(*command.split(), "--json").json["items"]
        shown = nexus.on_terminal(*command.split())
        assert all(item["id"] in shown for item in items), shown


def test_a_list_says_when_there_is_more(nexus: CommandLine, team: Team) -> None:
    nexus("groups", "create", f"{team.group}-b")
    short = nexus("groups", "list", "--limit", "1")
    assert len(short.out.splitlines()) == 2
    assert "raise --limit" in short.err
    assert nexus("groups", "list", "--limit", "1", "--json").json["hasMore"] is True


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("agents", "show", "nobody"), 1, "there is no agent nobody"),
        (("groups", "show", "nowhere"), 1, "there is no group nowhere"),
        (("projects", "stats", "nothing"), 1, "there is no project nothing"),
        (("projects", "create", "p", "--group", "nowhere"), 1, "there is no group nowhere"),
        (("groups", "create", "Not A Slug"), 2, "slug: "),
        (("agents", "create", "bad id"), 2, "clientId: "),
        (("agents", "create", "x", "--secret", "short"), 2, "clientSecret: "),
        (("groups", "show", ".."), 2, "'..' is no id"),
        (("projects", "list", "--group", "nowhere"), 1, "there is no group nowhere"),
    ],
)
def test_refusals_are_one_line_with_an_exit_code_and_no_output(
    nexus: CommandLine, arguments: tuple[str, ...], code: int, says: str
) -> None:
    for more in ((), ("--json",)):
        ended = nexus(*arguments, *more)
        assert (ended.code, ended.out) == (code, "")
        assert ended.err.startswith("nexus: ")
        assert says in ended.err
        assert ended.err.count("\n") == 1


def test_the_same_slug_twice_is_a_conflict(nexus: CommandLine, team: Team) -> None:
    again = nexus("groups", "create", team.group)
    assert again.code == 1
    assert "is taken" in again.err


def test_credentials_of_an_agent_do_not_open_an_admins_commands(
    nexus: CommandLine, team: Team
) -> None:
    as_agent = ("--client-id", team.agent, "--client-secret", team.secret)
    refused = nexus("groups", "create", "mine", *as_agent)
    assert refused.code == 2
    assert "role admin" in refused.err
