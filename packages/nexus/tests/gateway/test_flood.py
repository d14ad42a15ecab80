"""A flood of malformed, huge, binary and deeply nested frames through a live server.

Each is answered or hung up on, nothing reaches the log as an exception, an agent beside it goes on,
and memory is flat afterwards.
"""

import asyncio
import os
import random
from collections.abc import Callable
from pathlib import Path

import orjson
import psutil
import pytest

from free_port import free_port
from live_nexus import AGENT_SECRET, Admin, nexus_process
from raw_peer import BINARY, CLOSE, TEXT, frame, raw_peer
from socket_agent import socket_agent, token_for

MAY_GROW_BY = 8 * 1024 * 1024
_AT_ONCE = 50
Draw = Callable[[random.Random], bytes]


def _text(packet: bytes | str) -> bytes:
    return frame(packet.encode() if isinstance(packet, str) else packet)


HUGE = ["9223372036854775808", "18446744073709551615", "99999999999999999999", "1e300", "-1e300"]


FATAL: dict[str, Draw] = {
    "noise": lambda dice: frame(b"x" + dice.randbytes(dice.randint(0, 300))),
    "broken JSON": lambda dice: _text('42/agents,["x",' + '{"a":' * dice.randint(1, 50)),
    "nested beyond reading": lambda dice: _text("40/agents," + "[" * dice.randint(1_100, 90_000)),
    "nested objects": lambda dice: _text("40/agents," + '{"a":' * dice.randint(1_100, 30_000)),
    "no UTF-8": lambda dice: frame(b'40/agents,{"token":"\xff\xfe"}'),
    "surrogate": lambda dice: _text('40/agents,{"token":"\\ud800"}'),
    "NaN": lambda dice: _text('40/agents,{"token":NaN}'),
    "binary packet": lambda dice: _text(f'45{dice.randint(1, 99)}-/agents,["x"]'),
    "endless attachments": lambda dice: _text("45" + "9" * dice.randint(1, 1_000) + "-"),
    "endless id": lambda dice: _text("42/agents," + "9" * dice.randint(16, 5_000) + '["x"]'),
    "binary frame": lambda dice: frame(dice.randbytes(dice.randint(0, 2_000)), BINARY),
    "said to be huge": lambda dice: b"\x81\xff" + (2 ** dice.randint(19, 62)).to_bytes(8) + b"mask",
    "huge": lambda dice: frame(b"42" + b"x" * dice.randint(262_143, 300_000)),
    "unmasked": lambda dice: frame(b"3", masked=False),
    "reserved": lambda dice: frame(b"3", first=dice.choice([0xF1, 0xC1, 0x83, 0x8F, 0x00])),
    "event too early": lambda dice: _text('42/agents,["agent_ready",{}]'),
    "bad close": lambda dice: frame(dice.randbytes(1), CLOSE),
    "fragment in fragment": lambda dice: frame(b"4", first=TEXT) + frame(b"4"),
}
"""Each ends its connection."""


def _call(name: str, payload: str) -> bytes:
    stamp = '"timestamp":"2026-01-01T00:00:00.000Z"'
    return f'["{name}",{{"type":"{name}",{stamp},"payload":{payload}}}]'.encode()


def _update(result: str, attempt: str = "1") -> bytes:
    head = f'"taskId":"x","attempt":{attempt},"status":"DONE"'
    return _call("task_update", "{" + head + ',"result":' + result + "}")


def _ready(more: str) -> bytes:
    return _call("agent_ready", '{"version":"1","capabilities":[],' + more + "}")


def _nested(levels: int) -> bytes:
    return _update("[" * levels + "]" * levels)


REFUSED: dict[str, Draw] = {
    "unknown": lambda dice: orjson.dumps([f"x{dice.random()}", {}]),
    "long name": lambda dice: orjson.dumps(["ü" * dice.randint(1, 50_000), {}]),
    "the library's own names": lambda dice: orjson.dumps([dice.choice(["connect", "disconnect"])]),
    "no envelope": lambda dice: orjson.dumps(["heartbeat", dice.choice([None, 7, "x", [], [[]]])]),
    "nested": lambda dice: _nested(dice.randint(65, 900)),
    "NUL": lambda dice: _update('{"a":["\\u0000"]}'),
    "NUL key": lambda dice: _update('{"\\u0000":1}'),
    "wide": lambda dice: _call(
        "claim_task", orjson.dumps({str(n): n for n in range(999)}).decode()
    ),
    "huge text": lambda dice: _call(
        "post_message", '{"taskId":"x","text":"' + "x" * 200_000 + '"}'
    ),
    "huge attempt": lambda dice: _update("1", attempt=dice.choice(HUGE)),
    "huge lastSeq": lambda dice: _ready(f'"lastSeq":{dice.choice(HUGE)}'),
    "huge maxConcurrency": lambda dice: _ready(f'"maxConcurrency":{dice.choice(HUGE)}'),
    "huge seq": lambda dice: _call("event_ack", f'{{"seqs":[{dice.choice(HUGE)}]}}'),
    "huge active": lambda dice: _call(
        "heartbeat", f'{{"ping":true,"active":[{{"taskId":"x","attempt":{dice.choice(HUGE)}}}]}}'
    ),
    "twice the same key": lambda dice: _call("claim_task", '{"taskId":"x","taskId":7}'),
    "wrong types": lambda dice: _call("status_update", '{"status":{"a":[]},"taskId":[1]}'),
    "wrong envelope": lambda dice: b'["heartbeat",{"type":"heartbeat","timestamp":-1e308,"id":[]}]',
}
"""Each is answered with an error, and its connection goes on."""


@pytest.mark.parametrize(
    "frames", [10_000, pytest.param(100_000, marks=[pytest.mark.soak, pytest.mark.timeout(900)])]
)
async def test_a_flood_is_answered_and_leaves_nothing_behind(tmp_path: Path, frames: int) -> None:
    seed = int(os.environ.get("FLOOD_SEED", random.randrange(2**32)))
    print(f"FLOOD_SEED={seed}")
    dice = random.Random(seed)
    async with (
        nexus_process(tmp_path / "data", free_port()) as server,
        Admin(server.url) as admin,
    ):
        await admin.team()
        await admin.agent("flooding")
        await admin.agent("beside")
        token = await token_for(server.url, "beside", AGENT_SECRET)
        async with socket_agent(server.url, token) as beside:
            await beside.ready()
            process = _process_on(server.port)
            await _flood(server.url, dice, frames=frames // 5)
            before = process.memory_info().rss
            await _flood(server.url, dice, frames=frames)
            grown = process.memory_info().rss - before
            assert (await beside.call("heartbeat", {"ping": True}))["payload"]["pong"] is True
    assert grown < MAY_GROW_BY, f"grown by {grown // 1024} KiB over {frames} frames"
    log = (tmp_path / "nexus.log").read_text()
    assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:3_000]


async def _flood(url: str, dice: random.Random, *, frames: int) -> None:
    """Send a tenth as frames that end a connection each, the rest as calls within one."""
    kinds = list(FATAL.values())
    for start in range(0, frames // 10, _AT_ONCE):
        data = [dice.choice(kinds)(dice) for _ in range(min(_AT_ONCE, frames // 10 - start))]
        await asyncio.gather(*(_is_hung_up_on(url, one) for one in data))
    await _calls_are_refused(url, dice, count=frames - frames // 10)


async def _is_hung_up_on(url: str, data: bytes) -> None:
    async with raw_peer(url) as peer:
        peer.writer.write(data)
        code, _ = await peer.until_closed()
        assert code in {1002, 1003, 1007, 1008, 1009}, (code, data[:80])


async def _calls_are_refused(url: str, dice: random.Random, *, count: int) -> None:
    token = await token_for(url, "flooding", AGENT_SECRET)
    kinds = list(REFUSED.items())
    async with raw_peer(url) as peer:
        await peer.join({"token": token})
        peer.send(b"42/agents,0" + _ready('"acks":true'))
        assert b'"acknowledged":true' in await peer.until("43/agents,0")
        for start in range(0, count, _AT_ONCE):
            sent = [dice.choice(kinds) for _ in range(min(_AT_ONCE, count - start))]
            peer.send(b"42/agents," + _call("heartbeat", '{"ping":true}'))  # or it counts as gone
            for number, (_, draw) in enumerate(sent, start):
                peer.send(b"42/agents,%d" % number + draw(dice))
            answers = {}
            for _ in sent:
                head, _, answer = (await peer.until("43/agents,")).partition(b"[")
                answers[int(head.rpartition(b",")[2])] = orjson.loads(b"[" + answer)[0]
            for number, (kind, _) in enumerate(sent, start):
                assert "error" in answers[number], (kind, answers[number])


def _process_on(port: int) -> psutil.Process:
    (process,) = (child for child in psutil.Process().children() if str(port) in child.cmdline())
    return process
