"""Where the public names are held: complete, sorted, and quick to import."""

import subprocess
import sys

import pytest

import oblivion
from oblivion import AgentStatus, EventType

HEAVY = ("aiohttp", "engineio", "httpx2", "socketio", "structlog")


def test_the_public_names_are_sorted_and_exist() -> None:
    assert oblivion.__all__ == sorted(oblivion.__all__)
    assert all(hasattr(oblivion, name) for name in oblivion.__all__)


def test_the_names_of_the_quickstart_are_there() -> None:
    assert {
        "AgentStatus",
        "ContextUpdatePayload",
        "EventType",
        "HeartbeatPayload",
        "OblivionClient",
        "TaskAssignedPayload",
        "ToolResultPayload",
        "WakeUpPayload",
    } <= set(oblivion.__all__)


@pytest.mark.parametrize(
    "name",
    [
        "TASK_ASSIGNED",
        "CONTEXT_UPDATE",
        "WAKE_UP",
        "TOOL_RESULT",
        "HEARTBEAT",
        "AGENT_READY",
        "STATUS_UPDATE",
    ],
)
def test_event_types_are_their_names_on_the_wire(name: str) -> None:
    assert EventType[name] == name.lower()


def test_statuses_are_their_words() -> None:
    assert [status.value for status in AgentStatus] == ["idle", "working", "error"]


def test_importing_loads_no_network_library() -> None:
    code = f"import sys, oblivion; print([m for m in {HEAVY!r} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
