"""Where ``run()`` is tested as authors use it: in a process of its own, with real signals."""

import asyncio
import os
import signal
import sys
import threading
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import psutil
import pytest

import oblivion
from oblivion import OblivionClient
from scripted_nexus import MakeClient, ScriptedNexus

AGENT = """
import asyncio, sys, time
from oblivion import OblivionClient

client = OblivionClient(sys.argv[1], "my-agent", "s3cret", drain_timeout=30)

@client.on_task_assigned
{handler}

client.run()
print("ended", flush=True)
"""

PATIENT = """async def handle(payload):
    await client.update_status("working", payload.task_id)
    await asyncio.sleep(0.3)
    return "finished"
"""

ENDLESS = """async def handle(payload):
    await client.update_status("working", payload.task_id)
    await asyncio.Event().wait()
"""

STUCK = """def handle(payload):
    client.from_thread(client.update_status("working", payload.task_id))
    time.sleep(600)
"""

Start = Callable[[str], Coroutine[Any, Any, Process]]


@pytest.fixture
async def start(nexus: ScriptedNexus) -> AsyncIterator[Start]:
    """Start an agent with the given handler, and wait until it is ready."""
    processes: list[Process] = []

    async def begin(handler: str) -> Process:
        code = AGENT.format(handler=handler)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, nexus.url, stdout=PIPE, stderr=PIPE
        )
        processes.append(process)
        await nexus.next("agent_ready", patience=30)
        return process

    yield begin
    for process in processes:
        if process.returncode is None:
            process.kill()
        await process.communicate()


QUICKSTART = """
import asyncio, sys
from oblivion import OblivionClient

async def main():
    client = OblivionClient(nexus_url=sys.argv[1], client_id="my-agent", client_secret="s3cret")

    @client.on_task_assigned
    async def handle(payload):
        await client.update_status("working", payload.task_id)
        await asyncio.sleep(600)

    @client.on_context_update
    async def hear(payload):
        print("heard", flush=True)
        await asyncio.sleep(600)

    await client.connect()
    await client.wait()

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("shutting down")
"""


async def test_ctrl_c_in_the_quickstart_ends_it_quickly_and_quietly(nexus: ScriptedNexus) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "always", "-c", QUICKSTART, nexus.url, stdout=PIPE, stderr=PIPE
    )
    await nexus.next("agent_ready", patience=30)
    await nexus.assign("t")
    await nexus.next("status_update")
    await nexus.send("context_update", {"taskId": "t", "content": "hello"})
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 10) == b"heard\n"
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 10)
    assert (process.returncode, out, err) == (0, b"shutting down\n", b"")
    assert not nexus.of("task_update"), "an interrupted attempt is no failed one"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_first_signal_drains(
    nexus: ScriptedNexus, start: Start, number: signal.Signals
) -> None:
    process = await start(PATIENT)
    await nexus.assign("t")
    await nexus.next("status_update")
    process.send_signal(number)
    assert (await nexus.next("agent_ready")).payload["acceptsTasks"] is False
    assert (await nexus.next("task_update")).payload["result"] == "finished"
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, out, err) == (0, b"ended\n", b"")


@pytest.mark.parametrize("handler", [ENDLESS, STUCK], ids=["async", "thread"])
async def test_the_second_signal_quits_at_once(
    nexus: ScriptedNexus, start: Start, handler: str
) -> None:
    process = await start(handler)
    await nexus.assign("t")
    await nexus.next("status_update")
    process.send_signal(signal.SIGTERM)
    await nexus.next("agent_ready")
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == -signal.SIGTERM


async def test_a_signal_while_connecting_ends_without_complaint(nexus: ScriptedNexus) -> None:
    nexus.greets = False
    code = AGENT.format(handler=PATIENT)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, nexus.url, stdout=PIPE, stderr=PIPE
    )
    await nexus.until(lambda: bool(nexus.sids), patience=30)
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, out, err) == (0, b"ended\n", b"")


async def test_the_end_of_the_session_ends_the_process_with_the_error(
    nexus: ScriptedNexus, start: Start
) -> None:
    process = await start(PATIENT)
    await nexus.hint("superseded", {"sessionId": "newer"})
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert b"SessionSuperseded" in err


async def test_run_inside_a_loop_says_what_to_do_instead(make_client: MakeClient) -> None:
    with pytest.raises(oblivion.UsageError, match=r"await connect\(\) and wait\(\)"):
        make_client().run()


async def test_run_works_on_a_thread_without_signals(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = OblivionClient(nexus.url, "my-agent", "s3cret")
    errors: list[BaseException] = []

    def work() -> None:
        try:
            client.run()
        except oblivion.OblivionError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    await nexus.next("agent_ready")
    await nexus.hint("superseded", {"sessionId": "newer"})
    await asyncio.to_thread(thread.join, 10)
    assert [type(error) for error in errors] == [oblivion.SessionSuperseded]


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root makes namespaces everywhere"
)
async def test_the_second_signal_quits_the_first_process_of_a_container_too(
    nexus: ScriptedNexus,
) -> None:
    """The kernel spares it from signals that would kill any other."""
    code = AGENT.format(handler=ENDLESS)
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--pid", "--fork", "--kill-child", sys.executable, "-c", code, nexus.url),
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        await nexus.next("agent_ready", patience=30)
        await nexus.assign("t")
        await nexus.next("status_update")
        (first,) = psutil.Process(process.pid).children()
        first.send_signal(signal.SIGTERM)
        await nexus.next("agent_ready")
        first.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 10)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
