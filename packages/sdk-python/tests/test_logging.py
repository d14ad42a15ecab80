"""Where the log lines are tested: their form, their quiet, and that nothing is configured."""

import logging
import subprocess
import sys

import pytest

from oblivion import TaskAssignedPayload
from oblivion._logging import get_log
from scripted_nexus import MakeClient, ScriptedNexus

CONFIGURED = """
import logging
logging.basicConfig(level=logging.DEBUG)
from oblivion._logging import get_log
get_log("events").info("task_assigned", task_id="abc123", title="Fix bug")
"""


def test_a_line_looks_as_the_quickstart_prints_it() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", CONFIGURED], capture_output=True, text=True, check=True
    )
    assert ran.stderr == 'INFO:oblivion.events:event=task_assigned task_id=abc123 title="Fix bug"\n'
    assert ran.stdout == ""


async def test_an_assigned_task_is_logged_so(
    nexus: ScriptedNexus, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = make_client()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        """Do nothing."""

    await client.connect()
    await nexus.assign("abc123")
    await nexus.next("task_update")
    assert 'event=task_assigned task_id=abc123 title="Fix bug"' in caplog.messages


def test_ids_can_be_bound_and_nothing_is_written_for_what_is_unknown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "oblivion")
    get_log("test").bind(task_id="t").info("task_ended", status="DONE", error=None)
    assert caplog.messages == ["event=task_ended task_id=t status=DONE"]


def test_a_title_cannot_steer_a_terminal_or_forge_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "oblivion")
    get_log("test").info("task_assigned", title="x\x1b[2J\r\nevent=forged")
    assert "\x1b" not in caplog.text
    assert "\r" not in caplog.text
    assert len(caplog.messages[0].splitlines()) == 1


def test_importing_configures_nothing() -> None:
    code = "import logging, oblivion; print(logging.getLogger().handlers, logging.root.level)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[] 30\n"


async def test_connecting_adds_no_handler_to_any_logger(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("engineio.client", "socketio.client"):  # others may have used these libraries
        monkeypatch.setattr(logging.getLogger(name), "handlers", [])
    async with make_client():
        loggers = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
    named = [log for log in loggers if log.name.startswith(("oblivion", "engineio", "socketio"))]
    clients = [log.name for log in named if log.handlers and not log.name.endswith(".server")]
    assert clients == []
