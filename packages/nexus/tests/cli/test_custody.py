"""The commands that cut agents off, against a real server."""

import httpx2
import pytest

from command_line import CommandLine, ServerProcess, Team


def token(url: str, client_id: str, secret: str) -> httpx2.Response:
    return httpx2.post(f"{url}/auth/token", json={"client_id": client_id, "client_secret": secret})


def test_a_banned_agent_gets_no_token_until_it_is_unbanned(
    nexus: CommandLine, team: Team, server: ServerProcess
) -> None:
    banned = nexus("agents", "ban", team.agent, "--reason", "misbehaves")
    assert (banned.code, banned.out) == (0, f"banned {team.agent}\n")
    assert "disabled" in token(server.url, team.agent, team.secret).text
    assert nexus("agents", "show", team.agent, "--json").json["isBanned"] is True
    unbanned = nexus("agents", "unban", team.agent)
    assert unbanned.out == f"{team.agent} may come in again\n"
    assert token(server.url, team.agent, team.secret).is_success


@pytest.mark.parametrize("verb", ["logout", "disconnect"])
def test_an_agents_sessions_are_ended_by_one_word(
    nexus: CommandLine, team: Team, verb: str
) -> None:
    done = nexus("agents", verb, team.agent, "--json")
    assert (done.code, done.json["clientId"]) == (0, team.agent)


def test_a_new_secret_is_shown_once_and_the_old_one_ends_when_it_shall(
    nexus: CommandLine, team: Team, server: ServerProcess
) -> None:
    made = nexus("agents", "rotate-secret", team.agent, "--json").json
    assert made["oldSecretValidUntil"]
    assert token(server.url, team.agent, team.secret).is_success
    again = nexus("agents", "rotate-secret", team.agent, "--overlap", "0")
    assert "client secret" in again.out
    assert "does not show it again" in again.err
    assert token(server.url, team.agent, team.secret).status_code == 401
    assert token(server.url, team.agent, made["clientSecret"]).status_code == 401


def test_all_agents_are_stopped_and_resumed(nexus: CommandLine) -> None:
    made = nexus("tenants", "create", "drill", "--json").json  # where no other test has agents
    admin = ("--client-id", made["clientId"], "--client-secret", made["clientSecret"])
    stopped = nexus("stop-all", "--reason", "a drill", *admin)
    assert stopped.out == "stopped all agents (0 connected, 0 tasks taken back)\n"
    resumed = nexus("resume-all", "--json", *admin)
    assert resumed.json["stopped"] is False


def test_what_is_not_there_is_said_in_one_line(nexus: CommandLine) -> None:
    for verb in ("ban", "unban", "logout", "disconnect", "rotate-secret"):
        done = nexus("agents", verb, "nobody-at-all")
        assert (done.code, done.out) == (1, "")
        assert done.err == "nexus: there is no agent nobody-at-all\n"
