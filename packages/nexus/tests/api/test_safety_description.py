"""The server answers as its description says, whatever a machine makes up, and never with 5xx."""

import random
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable

from command_line import ServerProcess
from live_nexus import ADMIN_SECRET, AGENT_SECRET

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own imports warn of what others deprecate
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.specs.openapi.checks import positive_data_acceptance

CONTENT_TOO_LARGE = 413
MOST_WAIT_S = 0.01
OPEN = {"/livez", "/readyz", "/.well-known/oauth-authorization-server"}


@dataclass(frozen=True, kw_only=True)
class Target:
    """A server, its operations, and what is there to be named."""

    process: ServerProcess
    operations: list[Any]
    headers: dict[str, dict[str, str]]
    ids: dict[str, str]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A ``nexus serve`` that never tires of wrong secrets, with one of each thing in it."""
    process = ServerProcess(tmp_path_factory.mktemp("described") / "data")
    process.extra = {"NEXUS_ADMIN_CLIENT_SECRET": ADMIN_SECRET} | {
        f"NEXUS_{name}": "100000"
        for name in ("GUESSES_PER_ADDRESS", "GUESSES_PER_CLIENT", "REGISTRATIONS_PER_MINUTE")
    }
    process.extra["NEXUS_GUESSES_PER_MINUTE"] = "10000"
    process.extra["NEXUS_SLACK_SIGNING_SECRET"] = "a-secret-that-nobody-signs-with"
    try:
        process.start()
        admin = _token(process.url, "admin", ADMIN_SECRET)
        ids = _one_of_each(process.url, admin)
        agent = _token(process.url, "an-agent", AGENT_SECRET)
        description = schemathesis.openapi.from_url(process.url + "/api-json")
        found: list[Any] = list(description.get_all_operations())
        yield Target(
            process=process,
            operations=[each.ok() for each in found],
            headers={"admin": admin, "agent": agent, "nobody": {}},
            ids=ids,
        )
        said = "".join(process.running.err if process.running else [])
        assert "request_failed" not in said, said
    finally:
        process.close()


def _token(url: str, client_id: str, secret: str) -> dict[str, str]:
    body = {"client_id": client_id, "client_secret": secret}
    answer = httpx2.post(url + "/auth/token", json=body).raise_for_status()
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def _one_of_each(url: str, headers: dict[str, str]) -> dict[str, str]:
    with httpx2.Client(base_url=url, headers=headers) as http:

        def made(path: str, **body: Any) -> str:
            answer = http.post(path, json=body).raise_for_status().json()
            return str(answer.get("id") or answer["clientId"])

        agent = {"name": "A", "clientId": "an-agent", "clientSecret": AGENT_SECRET}
        return {
            "group_id": made("/groups", name="G", slug="g"),
            "project_id": made("/projects", groupId="g", name="P", slug="p"),
            "agent_id": made("/observer/agents", **agent, groupIds=["g"]),
            "task_id": made("/observer/tasks", projectId="p", title="T"),
            "token_id": made("/observer/registration-tokens", groupId="g"),
            "client_id": made("/observer/clients", clientId="a-viewer"),
            "delivery_id": "1",
            "rule_id": made("/observer/tools/rules", tools=["*"]),
            "approval_id": "of-no-call",
        }


@pytest.fixture(scope="module")
def chosen_seed(request: pytest.FixtureRequest) -> int:
    """Where this run begins: what ``--hypothesis-seed`` says, or chance."""
    given_seed = request.config.getoption("--hypothesis-seed")
    return random.SystemRandom().randrange(2**32) if given_seed is None else int(given_seed)


def explore(
    target: Target, role: str, mode: GenerationMode, examples: int, first_seed: int
) -> None:
    """Try every operation with what fits its description, or does not."""
    wrong: dict[str, str] = {}
    for operation in target.operations:
        if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query):
            continue  # nothing can be wrong about a request that takes nothing

        @seed(first_seed)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def try_out(case: Any) -> None:
            _reach_deeper(case, target, mode)
            answer = case.call(headers=target.headers[role], timeout=10)
            if answer.status_code == CONTENT_TOO_LARGE:
                return  # whoever sends megabytes is not told what else is wrong with them
            case.validate_response(
                answer,
                headers=target.headers[role],
                # That fits which the description cannot say: NUL, white space, what is there.
                excluded_checks=[positive_data_acceptance],
            )

        try:
            try_out()
        except Unsatisfiable:
            continue
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            wrong[operation.label] = _explained(error)
    assert wrong == {}, f"replay with --hypothesis-seed={first_seed}"


def _reach_deeper(case: Any, target: Target, mode: GenerationMode) -> None:
    """Name what is there in every other case, and keep the long polls short."""
    if "waitSeconds" in case.query:
        case.query["waitSeconds"] = MOST_WAIT_S
    if mode is GenerationMode.POSITIVE and case.method != "DELETE":
        named = {name: target.ids[name] for name in case.path_parameters}
        case.path_parameters.update(named if len(str(case.body)) % 2 else {})


def _explained(error: BaseException) -> str:
    inner = getattr(error, "exceptions", (error,))
    return "; ".join(f"{type(each).__name__}: {str(each)[:500]}" for each in inner)


@pytest.mark.parametrize("role", ["admin", "agent"])
def test_what_fits_the_description_is_answered_as_described(
    target: Target, role: str, chosen_seed: int
) -> None:
    explore(target, role, GenerationMode.POSITIVE, 3 if role == "admin" else 1, chosen_seed)


def test_what_does_not_fit_the_description_is_refused_as_described(
    target: Target, chosen_seed: int
) -> None:
    explore(target, "admin", GenerationMode.NEGATIVE, 2, chosen_seed)


def test_without_credentials_nothing_is_done_and_that_is_described(
    target: Target, chosen_seed: int
) -> None:
    explore(target, "nobody", GenerationMode.POSITIVE, 1, chosen_seed)
    for operation in target.operations:
        answers = operation.definition.raw["responses"]
        if operation.path not in OPEN:
            assert "401" in answers, operation.label


@pytest.mark.soak
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_thousands_of_made_up_requests_are_answered_as_described(
    target: Target, mode: GenerationMode, chosen_seed: int
) -> None:
    explore(target, "admin", mode, 100, chosen_seed)
