"""The commands for registration tokens and for agents that ask to join, against a real server."""

import itertools

import pytest

from command_line import CommandLine, Outcome, ServerProcess, Team, has_token
from nexus.services.secrets import is_made
from scripted_peer import Answer, forwarding, peer

VARIABLE = "OBLIVION_REGISTRATION_TOKEN"
_numbers = itertools.count(1)


@pytest.fixture
def token(nexus: CommandLine, team: Team) -> str:
    """A registration token of the team's group."""
    made = nexus("tokens", "create", "--group", team.group, "--json")
    assert made.code == 0, made.err
    return str(made.json["token"])


@pytest.fixture
def stranger(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """The command line of somebody who has the address and nothing else."""
    home = tmp_path_factory.mktemp("stranger")
    return CommandLine(environment={"NEXUS_URL": server.url}, cwd=home)


def ask(stranger: CommandLine, token: str, *more: str) -> tuple[str, Outcome]:
    """Register under a new client id, and return that and the outcome."""
    client_id = f"joining-{next(_numbers)}"
    return client_id, stranger("agents", "register", client_id, *more, **{VARIABLE: token})


def test_a_token_is_shown_once_and_listed_without_itself(nexus: CommandLine, team: Team) -> None:
    made = nexus(
        *("tokens", "create", "--group", team.group, "--name", "Workshop"),
        *("--max-uses", "3", "--expires-in-hours", "1.5"),
    )
    assert (made.code, made.out.count("reg_")) == (0, 1)
    assert "does not show it again" in made.err
    listed = nexus("tokens", "list", "--limit", "1000")
    assert "reg_" not in listed.out
    (row,) = [line for line in listed.out.splitlines() if team.group in line]
    assert "active" in row
    assert "0 of 3" in row


def test_a_revoked_token_lets_nobody_in(
    nexus: CommandLine, stranger: CommandLine, team: Team
) -> None:
    made = nexus("tokens", "create", "--group", team.group, "--json").json
    assert nexus("tokens", "revoke", made["id"]).out == f"revoked {made['id']}\n"
    _, refused = ask(stranger, made["token"])
    assert refused.code == 2
    assert "was revoked" in refused.err
    assert made["token"] not in refused.err
    assert nexus("tokens", "revoke", "nothing").code == 1


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        (("--expires-in-hours", "nan"), "must be a number of hours"),
        (("--expires-in-hours", "-1"), "greater than 0"),
        (("--expires-at", "tomorrow"), "expiresAt"),
        (("--max-uses", "0"), "maxUses"),
        (("--expires-in-hours", "1", "--expires-at", "2030-01-01T00:00:00Z"), "not both"),
    ],
)
def test_terms_that_make_no_sense_are_bad_usage(
    nexus: CommandLine, team: Team, terms: tuple[str, ...], says: str
) -> None:
    refused = nexus("tokens", "create", "--group", team.group, *terms)
    assert refused.code == 2
    assert says in refused.err
    assert refused.err.count("\n") == 1


def test_a_token_that_got_lost_with_the_connection_is_not_passed_over(
    nexus: CommandLine, server: ServerProcess, team: Team
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
        made = nexus("tokens", "create", "--group", team.group, "--url", proxy.url)
    assert made.code == 1
    assert "got lost" in made.err


def test_an_agent_asks_without_any_admins_credentials(
    nexus: CommandLine, stranger: CommandLine, server: ServerProcess, team: Team, token: str
) -> None:
    client_id, asked = ask(stranger, token, "--capability", "python", "--email", "a@b.c", "--json")
    assert asked.code == 0, asked.err
    assert asked.json["approvalStatus"] == "PENDING"
    assert asked.json["pendingGroup"]["slug"] == team.group
    assert is_made(asked.json["clientSecret"])
    assert not has_token(server.url, client_id, asked.json["clientSecret"])
    (row,) = [
        line
        for line in nexus("agents", "pending", "--limit", "999").out.splitlines()
        if line.startswith(client_id + " ")
    ]
    assert row.split()[2:5] == [team.group, "python", "a@b.c"]
    approved = nexus("agents", "approve", client_id)
    assert (approved.code, approved.out) == (0, f"{client_id} is in {team.group}\n")
    assert has_token(server.url, client_id, asked.json["clientSecret"])


def test_the_secret_is_shown_once_or_was_chosen(
    nexus: CommandLine, stranger: CommandLine, server: ServerProcess, token: str
) -> None:
    _, made = ask(stranger, token)
    assert made.out.count("client secret  obv_") == 1
    assert "nobody shows it again" in made.err
    chosen = stranger(
        "agents",
        "register",
        "chose-1",
        "--secret",
        "-",
        stdin="my own secret\n",
        **{VARIABLE: token},
    )
    assert "my own secret" not in chosen.out + chosen.err
    assert nexus("agents", "approve", "chose-1").code == 0
    assert has_token(server.url, "chose-1", "my own secret")


def test_a_token_can_come_by_standard_input(stranger: CommandLine, token: str) -> None:
    asked = stranger("agents", "register", "by-stdin", "--token", "-", stdin=f"{token}\n")
    assert asked.code == 0, asked.err
    both = stranger("agents", "register", "both", "--token", "-", "--secret", "-", stdin="x")
    assert both.code == 2
    assert "only one" in both.err


def test_an_answer_that_got_lost_costs_neither_secret_nor_use(
    nexus: CommandLine, stranger: CommandLine, server: ServerProcess, team: Team
) -> None:
    made = nexus("tokens", "create", "--group", team.group, "--max-uses", "1", "--json").json
    forward = forwarding(server.url)
    lost: list[Answer] = []

    def lose_the_first(request: object) -> Answer | None:
        answer = forward(request)  # type: ignore[arg-type]  # a Request
        if not lost:
            lost.append(answer)
            return None
        return answer

    with peer(lose_the_first) as proxy:
        client_id, asked = ask(stranger, made["token"], "--json", "--url", proxy.url)
    assert lost[0].status == 201
    assert asked.code == 0, asked.err
    nexus("agents", "approve", client_id)
    assert has_token(server.url, client_id, asked.json["clientSecret"])


@pytest.mark.parametrize(
    ("client_id", "given", "code", "says"),
    [
        ("admin", None, 1, "is taken"),
        ("odd one", None, 2, "clientId: must be letters"),
        ("fine", "reg_unknown", 2, "no registration token"),
        ("fine", "", 2, "--token"),
    ],
)
def test_a_refusal_is_one_line_that_says_what_to_change(
    stranger: CommandLine, token: str, client_id: str, given: str | None, code: int, says: str
) -> None:
    refused = stranger(
        "agents", "register", client_id, **{VARIABLE: token if given is None else given}
    )
    assert refused.code == code
    assert says in refused.err
    assert refused.err.count("\n") == 1


def test_several_are_approved_and_one_that_is_refused_stops_none(
    nexus: CommandLine, stranger: CommandLine, token: str
) -> None:
    first, second = (ask(stranger, token)[0] for _ in range(2))
    decided = nexus("agents", "approve", first, "nobody-1", second)
    assert decided.code == 1
    assert [line.split()[0] for line in decided.out.splitlines()] == [first, second]
    assert decided.err == "nexus: there is no agent nobody-1\n"
    again = nexus("agents", "approve", first, "--json")
    assert again.code == 1
    assert again.json["items"][0]["error"]["code"] == "conflict"


def test_all_that_wait_are_approved_in_as_many_batches_as_that_takes(
    nexus: CommandLine, stranger: CommandLine, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexus.cli.joining.BATCH", 2)
    names = {ask(stranger, token)[0] for _ in range(5)}
    approved = nexus("agents", "approve", "--all-pending", "--json")
    assert approved.code == 0, approved.err
    assert names <= {each["agent"]["clientId"] for each in approved.json["items"]}
    none = nexus("agents", "approve", "--all-pending")
    assert (none.code, none.out, none.err) == (0, "", "none\n")


@pytest.mark.parametrize("arguments", [(), ("some-agent", "--all-pending")])
def test_whom_to_approve_must_be_said_in_one_way(
    nexus: CommandLine, arguments: tuple[str, ...]
) -> None:
    refused = nexus("agents", "approve", *arguments)
    assert refused.code == 2
    assert "--all-pending" in refused.err


def test_a_rejected_agent_shows_the_reason(
    nexus: CommandLine, stranger: CommandLine, token: str
) -> None:
    client_id, _ = ask(stranger, token)
    rejected = nexus("agents", "reject", client_id, "--reason", "We have one")
    assert (rejected.code, rejected.out) == (0, f"rejected {client_id}\n")
    assert "We have one" in nexus("agents", "show", client_id).out
    assert nexus("agents", "reject", client_id).code == 1
    assert "We have one" in nexus("tail", "--since", "0", "--no-follow").out
