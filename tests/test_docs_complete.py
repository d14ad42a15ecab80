"""Whatever a user can set, call, be told or get back stands on the pages, and the pages say so.

Each test names what is missing, and what a page names that does not exist (any more).
"""

import argparse
import ast
import doctest
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from click import Command
from fastapi.routing import APIRoute
from pydantic import BaseModel

import oblivion
import oblivion._cli
from nexus.api import assembly
from nexus.cli.errors import ExitCode
from nexus.cli.root import app
from nexus.gateway.calls import CALLS
from nexus.integrations.slack import manifest
from nexus.services import retention
from nexus.settings import Settings
from oblivion import Limits, OblivionClient, Timeouts, _config, _incoming, _network
from oblivion.protocol import (
    CancelReason,
    ErrorCode,
    EventType,
    SlackMessagePayload,
    TaskStatus,
)

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SOURCES = sorted(ROOT.glob("packages/*/src/**/*.py"))

SHARED_OPTIONS = {"--url", "--client-id", "--client-secret", "--data-dir", "--json", "--help", "-h"}
"""What `cli.md` says once for all commands."""


def page(name: str) -> str:
    return (DOCS / name).read_text()


def section(text: str, heading: str) -> str:
    """Return what stands under a heading, up to the next of the same or a higher level."""
    level, _ = heading.split(maxsplit=1)
    _, found, rest = text.partition(f"\n{heading}\n")
    assert found, f"there is no heading {heading!r}"
    return re.split(rf"^#{{2,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def table(text: str) -> list[list[str]]:
    """Return the cells of all rows of the tables in a text, without the headings."""
    rows: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("|--"):
            rows.pop()
        elif line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip()[1:-1].split("|")])
    return rows


def in_code(text: str) -> set[str]:
    """Return what a text shows as code within its lines."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return set(re.findall(r"`([^`]+)`", prose))


# --- settings -------------------------------------------------------------------------------------


def shown_default(value: object) -> str:
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def test_every_setting_of_nexus_stands_in_the_docs_with_its_default() -> None:
    rows = {row[0]: row for row in table(section(page("configuration.md"), "## Nexus"))}
    documented = {name for cell in rows for name in in_code(cell) if name.startswith("NEXUS_")}
    assert documented == {f"NEXUS_{name.upper()}" for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        (row,) = [row for cell, row in rows.items() if f"NEXUS_{name.upper()}" in in_code(cell)]
        if field.default not in {None, ()}:
            assert row[2] == shown_default(field.default), name


def test_every_variable_of_agents_stands_in_the_docs_with_its_default() -> None:
    agents = section(page("configuration.md"), "## Agents")
    documented = {row[0].strip("`"): row for row in table(agents) if "OBLIVION_" in row[0]}
    assert documented.keys() == _config._VARIABLES.keys()
    parameters = inspect.signature(OblivionClient).parameters
    for variable, (argument, _) in _config._VARIABLES.items():
        row, default = documented[variable], parameters[argument].default
        assert row[1] == f"`{argument}`"
        if isinstance(default, (bool, int, float)):
            assert row[2] == shown_default(default), variable


def test_every_argument_of_the_client_and_every_limit_stands_in_the_docs() -> None:
    agents = section(page("configuration.md"), "## Agents")
    words = in_code(agents)
    assert [
        name for name in inspect.signature(OblivionClient).parameters if name not in words
    ] == []
    limits = {row[0].strip("`"): row[1] for row in table(agents) if len(row) == 3}
    for name, value in {**vars(Limits()), **vars(Timeouts())}.items():
        assert limits[name] == f"`{value}`", name


def test_every_scope_of_the_app_in_slack_stands_in_the_docs_with_its_purpose() -> None:
    rows = {row[0]: row[1] for row in table(section(page("slack.md"), "## Keep it safe"))}
    (connections,) = manifest.APP_SCOPES
    assert rows.pop(f"`{connections}`").startswith(manifest.APP_SCOPES[connections])
    assert rows == {f"`{scope}`": why for scope, why in manifest.SCOPES.items()}


# --- the command line -----------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, Command]]:
    """Yield every command with the words that call it."""

    def below(words: str, command: Any) -> Iterator[tuple[str, Any]]:
        if hasattr(command, "commands"):
            for name, child in command.commands.items():
                yield from below(f"{words} {name}", child)
        else:
            yield words, command

    yield from below("nexus", typer.main.get_command(app))


COMMANDS = dict(commands())


def test_every_command_has_a_section_in_the_docs() -> None:
    headings = re.findall(r"^### (nexus .+)$", page("cli.md"), re.MULTILINE)
    assert sorted(headings) == sorted(COMMANDS)


@pytest.mark.parametrize("words", COMMANDS)
def test_every_option_of_a_command_stands_in_its_section(words: str) -> None:
    of_command = {
        name
        for parameter in COMMANDS[words].params
        if parameter.param_type_name != "argument"
        for name in [*parameter.opts, *parameter.secondary_opts]
    }
    text = section(page("cli.md"), f"### {words}")
    documented = {name for row in table(text) for name in in_code(row[0]) if name.startswith("-")}
    assert documented - SHARED_OPTIONS == of_command - SHARED_OPTIONS
    assert documented <= of_command


OBLIVION = {
    name: parser
    for action in oblivion._cli.parser()._actions
    if isinstance(action, argparse._SubParsersAction)
    for name, parser in action.choices.items()
}


@pytest.mark.parametrize("name", OBLIVION)
def test_every_option_of_the_command_of_agents_stands_in_its_section(name: str) -> None:
    of_command = {option for action in OBLIVION[name]._actions for option in action.option_strings}
    text = section(page("cli.md"), f"### oblivion {name}")
    documented = {name for row in table(text) for name in in_code(row[0]) if name.startswith("-")}
    assert documented == of_command


def test_every_variable_of_agents_networks_stands_in_the_docs() -> None:
    rows = table(section(page("configuration.md"), "## Agents' networks"))
    assert {row[0]: row[1] for row in rows} == {
        f"`{variable}`": f"`{field}`" for variable, field in _network.VARIABLES.items()
    }


def test_every_variable_of_agents_processes_stands_in_the_docs() -> None:
    source = inspect.getsource(oblivion._cli._run)
    rows = table(section(page("configuration.md"), "## Agents' processes"))
    assert {row[0] for row in rows} == {f"`{name}`" for name in re.findall(r"OBLIVION_\w+", source)}


def test_the_options_that_commands_share_stand_in_the_docs_once() -> None:
    text = section(page("cli.md"), "## What all commands share")
    assert in_code(text) >= SHARED_OPTIONS
    root = typer.main.get_command(app).params
    assert [name for option in root for name in option.opts if name not in text] == []


def test_every_exit_code_stands_in_the_docs() -> None:
    text = section(page("cli.md"), "## What all commands share")
    assert {row[0] for row in table(text) if row[0].isdigit()} == {str(int(c)) for c in ExitCode}


# --- the protocol ---------------------------------------------------------------------------------

EVENTS: dict[str, type[BaseModel]] = {
    **_incoming._PAYLOADS,
    EventType.SLACK_MESSAGE: SlackMessagePayload,
}
del EVENTS[EventType.TASK_AVAILABLE]  # said to be as task_assigned


def test_every_event_type_stands_in_the_protocol() -> None:
    shown = {name for row in table(page("protocol.md")) for name in in_code(row[0])}
    greeting = {EventType.CONNECTED}
    assert {*EventType} - greeting - shown == set()
    assert "Nexus sends `connected`" in page("protocol.md")


def fields_in(cell: str) -> set[str]:
    """Return the names in ``{one, two?, three: {...}}``, without those further inside."""
    outer = re.sub(r": [{\[].*?[}\]]", "", cell[cell.index("{") + 1 : cell.rindex("}")])
    return {name.strip(" ?") for name in outer.split(",")}


@pytest.mark.parametrize("call", CALLS)
def test_the_fields_of_a_call_stand_in_the_protocol(call: EventType) -> None:
    rows = table(section(page("protocol.md"), "### Calls: agent to Nexus"))
    (row,) = [row for row in rows if row[0] == f"`{call}`"]
    assert fields_in(row[1]) == names_of(CALLS[call].payload)


@pytest.mark.parametrize("event", EVENTS)
def test_the_fields_of_an_event_stand_in_the_protocol(event: str) -> None:
    rows = table(section(page("protocol.md"), "### Events: Nexus to agent"))
    (row,) = [row for row in rows if row[0] == f"`{event}`"]
    assert fields_in(row[2]) == names_of(EVENTS[event]) - {"pong"}


def names_of(model: type[BaseModel]) -> set[str]:
    fields = model.model_fields.items()
    return {field.alias or name for name, field in fields if not field.exclude}


def test_every_status_code_and_reason_stands_in_the_docs() -> None:
    protocol, concepts = in_code(page("protocol.md")), in_code(page("concepts.md"))
    assert [code for code in ErrorCode if code not in protocol] == []
    assert [reason for reason in CancelReason if reason not in protocol] == []
    assert [status for status in TaskStatus if status not in concepts] == []


def test_the_protocol_lists_exactly_the_requests_that_nexus_answers() -> None:
    rows = table(section(page("protocol.md"), "### Requests"))
    listed = {re.sub(r"\{\w+\}", "{}", row[0].strip("`")) for row in rows}
    answered = {
        f"{method} " + re.sub(r"\{\w+\}", "{}", route.path)
        for room in assembly._ROOMS
        for route in room.router.routes
        if isinstance(route, APIRoute)
        for method in {*(route.methods or ())} - {"HEAD"}
    }
    assert listed == answered


def test_the_protocol_lists_exactly_what_the_feed_can_tell() -> None:
    rows = table(section(page("protocol.md"), "### What happened"))
    listed = {name for row in rows for name in in_code(row[1])}
    assert listed == set(recorded())


def recorded() -> Iterator[str]:
    """Yield the words that are recorded: those in services and integrations that look like one."""
    of_services = re.compile(
        r"(task|agent|group|project|message|token|tool|approval|tool_rule|delivery)_[a-z]+ed"
        r"|task_progress|task_done|group_left"
        r"|agent_status|agent_thought|agent_woken|task_retrying"
        r"|agent_logged_out|agents_(stopped|resumed)"
        r"|access_revoked|secret_(rotated|set|removed)|mirror_(paused|resumed)"
    )
    elsewhere = re.compile(r"mirror_(paused|resumed)|slack_message")
    for path in SOURCES:
        if {"services", "integrations"} & {*path.parts}:
            word = of_services if "services" in path.parts else elsewhere
            tree = ast.parse(path.read_text())
            texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
            yield from (text for text in texts if isinstance(text, str) and word.fullmatch(text))


def test_what_is_kept_is_kept_as_long_as_the_docs_say() -> None:
    rows = table(section(page("concepts.md"), "## What is durable"))
    said = {row[0]: row[1] for row in rows}
    for what, kept_ms in (
        ("durable events that were acknowledged", retention.KEEP_EVENTS_MS),
        ("the feed of what happened (`nexus tail`)", retention.KEEP_ACTIVITY_MS),
        ("what came in from other services, or went out to them", retention.KEEP_MADE_MS),
        ("what could not be delivered to them", retention.KEEP_FAILED_MS),
        ("calls of tools that have ended", retention.KEEP_TOOL_CALLS_MS),
        ("answers to calls and to requests with an `Idempotency-Key`", retention.KEEP_ANSWERS_MS),
    ):
        days = kept_ms // (24 * 3600 * 1000)
        assert said[what] == (f"{days} days" if days > 1 else "1 day")


# --- the SDK --------------------------------------------------------------------------------------


def test_every_public_name_of_the_sdk_stands_in_the_reference() -> None:
    reference = "\n".join(path.read_text() for path in (DOCS / "sdk").glob("*.md"))
    shown = set(re.findall(r"^::: oblivion\.(\w+)$", reference, re.MULTILINE))
    if "errors" in shown:
        shown |= {name for name in oblivion.__all__ if hasattr(oblivion.errors, name)}
    assert [name for name in oblivion.__all__ if name not in shown] == []


def test_every_decorator_stands_in_the_guide() -> None:
    words = in_code(page("sdk/index.md"))
    decorators = [name for name in dir(OblivionClient) if name.startswith("on_")]
    assert [name for name in decorators if name not in words] == []


def test_the_log_events_that_the_guide_names_exist() -> None:
    for row in table(section(page("sdk/index.md"), "## Logs")):
        (logger,) = in_code(row[0])
        part = logger.removeprefix("oblivion.")
        texts = [path.read_text() for path in SOURCES]
        source = "".join(text for text in texts if f'get_log("{part}")' in text)
        assert [event for event in in_code(row[1]) if f'"{event}"' not in source] == [], logger


MODULES = [path for path in SOURCES if ">>> " in path.read_text()]


@pytest.mark.parametrize("path", MODULES or [None])
def test_examples_in_docstrings_are_true(path: Path | None) -> None:
    if path is None:
        return
    _, _, inside = str(path.with_suffix("")).partition("/src/")
    module = importlib.import_module(inside.replace("/", ".").removesuffix(".__init__"))
    assert doctest.testmod(module).failed == 0
