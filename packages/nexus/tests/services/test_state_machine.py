"""Thousands of random traces through the services, each step checked against model and laws."""

import inspect
import pkgutil
import random
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from nexus import services
from nexus.gateway.calls import CALLS
from nexus.store import Tx
from traces.machine import NexusMachine
from traces.world import TraceWorld

_STEPS = 25
_BATCH = 10
"""Of ten examples Hypothesis makes up each anew; of more, five in six repeat what came before."""
_APART = 1_000_000
"""Between the first seeds of two parts, so that they share no trace."""
_PATIENCE = 100
"""Batches after which a command that no step has reached counts as missed."""

_FOR_PEOPLE = "shows people what is there; its own tests say how"
_FOR_JOINING = "who asks to join holds no task yet; the tests of registration say how"
_FOR_A_CUT = "cuts agents off for people; its own tests drive it, on both databases"
_FOR_A_START = "what a first start needs is there before the first step"
_FOR_THE_LAW = "who did what is no part of the work; tests of its own meddle with it"
_FOR_OPERATORS = "who may come in is settled before the first step; tests of its own say how"
_FOR_OTHERS = "what comes in and goes out is no part of the work; it has a state machine of its own"
_FOR_TOOLS = "what becomes of a tool's call holds no task; a machine of its own drives it"
_FOR_SLACK = "where Slack shows threads is no part of the work; tests with a Slack say how"
NO_STEPS = {
    "approvals.ask": _FOR_TOOLS,
    "approvals.count_pending": _FOR_TOOLS,
    "approvals.decide": _FOR_TOOLS,
    "approvals.decide_of": _FOR_TOOLS,
    "approvals.pending": _FOR_TOOLS,
    "approvals.task_of": _FOR_TOOLS,
    "approvals.weigh": _FOR_TOOLS,
    "attempts.weigh": _FOR_TOOLS,
    "tool_calls.answer_now": _FOR_TOOLS,
    "tool_calls.due": _FOR_TOOLS,
    "tool_calls.locked": _FOR_TOOLS,
    "tool_calls.newest": _FOR_TOOLS,
    "tool_calls.of_task": _FOR_TOOLS,
    "tool_calls.row": _FOR_TOOLS,
    "tool_calls.tell_result": _FOR_TOOLS,
    "tool_calls.usage": _FOR_TOOLS,
    "tool_gate.all_tools": _FOR_TOOLS,
    "tool_gate.inspect": _FOR_TOOLS,
    "tool_gate.is_unwanted": _FOR_TOOLS,
    "tool_gate.usable_by": _FOR_TOOLS,
    "tool_offers.announce": _FOR_TOOLS,
    "tool_offers.offered_in": _FOR_TOOLS,
    "tool_offers.offered_to": _FOR_TOOLS,
    "tool_offers.provider": _FOR_TOOLS,
    "tool_rules.create": _FOR_TOOLS,
    "tool_rules.known": _FOR_TOOLS,
    "tool_rules.remove": _FOR_TOOLS,
    "tool_rules.shown": _FOR_TOOLS,
    "tool_runs.conclude": _FOR_TOOLS,
    "tool_runs.look_after": _FOR_TOOLS,
    "tool_runs.recover": _FOR_TOOLS,
    "vault.keys_used": _FOR_TOOLS,
    "vault.listing": _FOR_TOOLS,
    "vault.lock": _FOR_TOOLS,
    "vault.put": _FOR_TOOLS,
    "vault.remove": _FOR_TOOLS,
    "vault.reseal": _FOR_TOOLS,
    "vault.unopened": _FOR_TOOLS,
    "vault.values": _FOR_TOOLS,
    "audit.append": _FOR_THE_LAW,
    "audit.newest": _FOR_THE_LAW,
    "audit.verify": _FOR_THE_LAW,
    "audit.walked": _FOR_THE_LAW,
    "clients.create": _FOR_OPERATORS,
    "clients.disable": _FOR_OPERATORS,
    "clients.list_all": _FOR_OPERATORS,
    "clients.put": _FOR_OPERATORS,
    "clients.row": _FOR_OPERATORS,
    "tenants.create": _FOR_OPERATORS,
    "tenants.id_of": _FOR_OPERATORS,
    "tenants.list_all": _FOR_OPERATORS,
    "activity.newest": _FOR_PEOPLE,
    "activity.of_task": _FOR_PEOPLE,
    "activity.position": _FOR_PEOPLE,
    "activity.search": _FOR_PEOPLE,
    "activity.since": _FOR_PEOPLE,
    "events.heard": _FOR_PEOPLE,
    "history.done_since": _FOR_PEOPLE,
    "history.minutes": _FOR_PEOPLE,
    "agents.counts": _FOR_PEOPLE,
    "agents.list_all": _FOR_PEOPLE,
    "agents.names": _FOR_PEOPLE,
    "approval.approve": _FOR_JOINING,
    "approval.approve_all": _FOR_JOINING,
    "approval.count_pending": _FOR_JOINING,
    "approval.pending": _FOR_JOINING,
    "approval.reject": _FOR_JOINING,
    "deliveries.claim": _FOR_OTHERS,
    "deliveries.end": _FOR_OTHERS,
    "deliveries.fail": _FOR_OTHERS,
    "deliveries.knows": _FOR_OTHERS,
    "deliveries.next_due": _FOR_OTHERS,
    "deliveries.pending": _FOR_OTHERS,
    "deliveries.post": _FOR_OTHERS,
    "deliveries.post_all": _FOR_OTHERS,
    "deliveries.postpone": _FOR_OTHERS,
    "deliveries.release": _FOR_OTHERS,
    "deliveries.retry": _FOR_OTHERS,
    "deliveries.unsettled": _FOR_PEOPLE,
    "idempotency.came_before": _FOR_JOINING,
    "identity.client": "a caller is known before it commands",
    "identity.principal": "a caller is known before it commands",
    "attempts.take_away": _FOR_A_CUT,
    "installation.add_admin": _FOR_A_START,
    "installation.begin_epoch": "a restored backup is another history",
    "installation.bootstrap": _FOR_A_START,
    "installation.has_admin": _FOR_A_START,
    "installation.has_same_keys": _FOR_A_START,
    "installation.note_signing_key": _FOR_A_START,
    "installation.put_admin": _FOR_A_START,
    "installation.put_note": _FOR_SLACK,
    "installation.reset_admin": "a lost secret is replaced from the machine itself",
    "mailbox.backlog": _FOR_PEOPLE,
    "statistics.of_groups": _FOR_PEOPLE,
    "statistics.of_projects": _FOR_PEOPLE,
    "roster.history": _FOR_PEOPLE,
    "roster.named": _FOR_PEOPLE,
    "roster.roles": _FOR_PEOPLE,
    "roster.search": _FOR_PEOPLE,
    "roster.titles": _FOR_PEOPLE,
    "mailbox.retry": _FOR_OTHERS,
    "mailbox.search": _FOR_PEOPLE,
    "presence.attended": "a look of one node at its sessions; the tests of several nodes need it",
    "projects.list_all": _FOR_PEOPLE,
    "readiness.schema_is_current": _FOR_A_START,
    "registration.register": _FOR_JOINING,
    "registration.status": _FOR_JOINING,
    "registration_tokens.create": _FOR_JOINING,
    "registration_tokens.known": _FOR_JOINING,
    "registration_tokens.list_all": _FOR_JOINING,
    "registration_tokens.require_active": _FOR_JOINING,
    "registration_tokens.revoke": _FOR_JOINING,
    "registration_tokens.row": _FOR_JOINING,
    "registration_tokens.spend": _FOR_JOINING,
    "revocations.log_out": _FOR_A_CUT,
    "revocations.revoke": _FOR_A_CUT,
    "revocations.void_all": _FOR_A_CUT,
    "rotation.rotate": _FOR_A_CUT,
    "slack.channel_of": _FOR_SLACK,
    "slack.close_thread": _FOR_SLACK,
    "slack.forget_channel": _FOR_SLACK,
    "slack.in_doubt_since": _FOR_SLACK,
    "slack.is_mute": _FOR_SLACK,
    "slack.keep_channel": _FOR_SLACK,
    "slack.kept": _FOR_SLACK,
    "slack.left_behind": _FOR_SLACK,
    "slack.lose_card": _FOR_SLACK,
    "slack.note_archived": _FOR_SLACK,
    "slack.note_renamed": _FOR_SLACK,
    "slack.open_thread": _FOR_SLACK,
    "slack.ours": _FOR_SLACK,
    "slack.owner_of": _FOR_SLACK,
    "slack.owners": _FOR_SLACK,
    "slack.place": _FOR_SLACK,
    "slack.placed": _FOR_SLACK,
    "slack.places_of": _FOR_SLACK,
    "slack.stale_tasks": _FOR_SLACK,
    "slack.task_of": _FOR_SLACK,
    "slack.task_saying": _FOR_SLACK,
    "slack.without_channel": _FOR_SLACK,
    "statistics.of_agents": _FOR_PEOPLE,
    "statistics.of_project": _FOR_PEOPLE,
    "statistics.of_tasks": _FOR_PEOPLE,
    "statistics.of_tenant": _FOR_PEOPLE,
    "stops.ban": _FOR_A_CUT,
    "stops.interrupt": _FOR_A_CUT,
    "stops.late": _FOR_A_CUT,
    "stops.resume_all": _FOR_A_CUT,
    "stops.state": _FOR_A_CUT,
    "stops.stop_all": _FOR_A_CUT,
    "stops.unban": _FOR_A_CUT,
    "tasks.counts": _FOR_PEOPLE,
    "threads.newest": _FOR_PEOPLE,
    "threads.page": _FOR_PEOPLE,
    "tasks.of_source": _FOR_SLACK,
    "workspace.channel_id": _FOR_SLACK,
    "workspace.link": _FOR_SLACK,
    "workspace.owned": _FOR_SLACK,
    "workspace.resume": _FOR_SLACK,
    "workspace.status": _FOR_SLACK,
}
"""Public functions over a transaction that no trace calls, and why."""


@pytest.fixture
def traced(database_url: str) -> Iterator[TraceWorld]:
    """A world that forgets each trace, on each kind of database."""
    world = TraceWorld(database_url)
    yield world
    world.database.close()


@pytest.fixture
def chosen_seed(request: pytest.FixtureRequest) -> int:
    """Where this run's seeds begin: what ``--hypothesis-seed`` says, or chance."""
    given = request.config.getoption("--hypothesis-seed")
    return random.SystemRandom().randrange(2**32) if given is None else int(given)


def explore(world: TraceWorld, first_seed: int, *, traces: int) -> None:
    """Run traces in small batches, each with a seed of its own, printed when it fails."""
    print(f"{traces} traces with seeds from {first_seed} on")

    class Traces(NexusMachine):
        def __init__(self) -> None:
            super().__init__(world)

    chosen = settings(
        max_examples=_BATCH,
        stateful_step_count=_STEPS,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    for number in range(first_seed, first_seed + traces // _BATCH):
        try:
            run_state_machine_as_test(seed(number)(Traces), settings=chosen)
        except BaseException as error:
            error.add_note(f"replay with --hypothesis-seed={number}")
            raise


@pytest.mark.timeout(600)  # a trace that breaks something is made shorter for minutes
@pytest.mark.parametrize("part", range(3))
def test_no_order_of_commands_breaks_an_invariant(
    part: int, traced: TraceWorld, database_kind: str, chosen_seed: int
) -> None:
    """Thousands of traces, in parts that share the work."""
    some = {"sqlite": 640, "postgres": 30}[database_kind]
    explore(traced, chosen_seed + part * _APART, traces=some)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(10))
def test_a_hundred_thousand_traces_break_no_invariant(
    part: int, traced: TraceWorld, database_kind: str, chosen_seed: int
) -> None:
    many = {"sqlite": 10_000, "postgres": 500}[database_kind]
    explore(traced, chosen_seed + part * _APART, traces=many)


@pytest.mark.timeout(600)  # seconds, but minutes before it says what no step reaches
def test_every_command_is_among_the_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new command must become a rule of the machine, or say above why not."""
    commands, reached = _commands(), set[CodeType]()
    world = TraceWorld(tmp_path / "nexus.db")
    monkeypatch.setattr(world, "run", _noting(reached, world.run))
    missed = set(commands)
    for number in range(_PATIENCE):
        explore(world, number, traces=_BATCH)
        missed = {name for name, code in commands.items() if code not in reached}
        if missed == NO_STEPS.keys():
            break
    world.database.close()
    assert missed == NO_STEPS.keys()
    assert all(call.act.__code__ in reached for call in CALLS.values())


def _commands() -> dict[str, CodeType]:
    """Return the public functions of the services that take a transaction."""
    found: dict[str, CodeType] = {}
    for entry in pkgutil.iter_modules(services.__path__):
        module = import_module(f"{services.__name__}.{entry.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            own = function.__module__ == module.__name__ and not name.startswith("_")
            if own and _takes_a_transaction(function):
                found[f"{entry.name}.{name}"] = function.__code__
    return found


def _takes_a_transaction(function: Callable[..., Any]) -> bool:
    parameters = list(inspect.signature(function).parameters.values())
    return bool(parameters) and parameters[0].annotation is Tx


def _noting(reached: set[CodeType], run: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``run``, which then notes what code it reaches."""

    def note(frame: FrameType, event: str, _arg: object) -> None:
        if event == "call":
            reached.add(frame.f_code)

    def running(*args: Any, **more: Any) -> Any:
        sys.setprofile(note)
        try:
            return run(*args, **more)
        finally:
            sys.setprofile(None)

    return running
