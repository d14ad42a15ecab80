"""The key that signs tokens is replaced while Nexus runs, and nobody notices but who shall."""

import logging
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import jwt
import pytest

from doors import at_the_socket, over_http
from eventually import eventually
from fake_time import FakeTime
from live_nexus import AGENT_SECRET, LiveNexus, live_nexus
from nexus.key_watch import KeyWatch
from nexus.keys import load_signing_keys, signing_keys_path, write_signing_keys
from nexus.services.signing import KEY_BYTES, Keyring
from nexus.services.tokens import LIFETIME_S
from socket_agent import token_for

LIFETIME_MS = LIFETIME_S * 1000


@pytest.fixture
async def nexus(tmp_path: Path, time: FakeTime) -> AsyncIterator[LiveNexus]:
    async with live_nexus(tmp_path / "data", clock=time) as nexus:
        await nexus.admin.team()
        await nexus.admin.agent("one")
        yield nexus


async def token(nexus: LiveNexus) -> str:
    return await token_for(nexus.url, "one", AGENT_SECRET)


def kid(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


async def rotate(
    nexus: LiveNexus, data_dir: Path, time: FakeTime, *, after_s: int = 0, void: bool = False
) -> Keyring:
    """Do what ``nexus keys rotate`` does, and wait until the server has noticed."""
    fresh = secrets.token_bytes(KEY_BYTES)
    ring = load_signing_keys(data_dir).rotated(
        fresh, now_ms=time(), since_ms=time() + after_s * 1000, lifetime_ms=LIFETIME_MS
    )
    ring = Keyring.of(fresh) if void else ring
    write_signing_keys(data_dir, ring)

    async def noticed() -> bool:
        return nexus.serving.nexus.platform.tokens.keys.by_id.keys() == ring.by_id.keys()

    await eventually(noticed, what="the server has the new keys")
    return ring


async def test_tokens_of_the_key_before_are_good_as_long_as_they_live(
    nexus: LiveNexus, tmp_path: Path, time: FakeTime
) -> None:
    old = await token(nexus)
    ring = await rotate(nexus, tmp_path / "data", time)

    new = await token(nexus)

    assert kid(new) == ring.keys[0].id != kid(old)
    for good in (old, new):
        assert await over_http(nexus, good) == "let in"
        assert await at_the_socket(nexus, good) == "let in"


async def test_a_key_whose_tokens_have_all_expired_is_dropped_by_the_next_rotation(
    nexus: LiveNexus, tmp_path: Path, time: FakeTime
) -> None:
    first = load_signing_keys(tmp_path / "data").keys[0]
    second = (await rotate(nexus, tmp_path / "data", time)).keys[0]
    time.advance(seconds=LIFETIME_S - 1)
    assert len((await rotate(nexus, tmp_path / "data", time)).keys) == 3
    time.advance(seconds=2)
    ring = await rotate(nexus, tmp_path / "data", time)
    assert second in ring.keys
    assert first not in ring.keys


async def test_a_key_for_later_verifies_at_once_and_signs_later(
    nexus: LiveNexus, tmp_path: Path, time: FakeTime
) -> None:
    ring = await rotate(nexus, tmp_path / "data", time, after_s=300)
    assert kid(await token(nexus)) == ring.keys[1].id
    time.advance(seconds=300)
    assert kid(await token(nexus)) == ring.keys[0].id


async def test_a_stolen_key_is_worth_nothing_once_it_is_void(
    nexus: LiveNexus, tmp_path: Path, time: FakeTime
) -> None:
    old = await token(nexus)
    assert await over_http(nexus, old) == "let in"

    await rotate(nexus, tmp_path / "data", time, void=True)

    assert await over_http(nexus, old) == "unauthorized"
    assert await at_the_socket(nexus, old) == "unauthorized"
    assert await over_http(nexus, await token(nexus)) == "let in"


async def test_keys_outlive_a_restart(tmp_path: Path, time: FakeTime) -> None:
    async with live_nexus(tmp_path / "data", clock=time) as nexus:
        await nexus.admin.team()
        await nexus.admin.agent("one")
        old = await token(nexus)
        await rotate(nexus, tmp_path / "data", time)
    async with live_nexus(tmp_path / "data", clock=time) as nexus:
        assert await over_http(nexus, old) == "let in"


@pytest.mark.parametrize("content", ["", "zz\n", "abcd\n", None])
async def test_a_file_that_cannot_be_read_changes_nothing(
    nexus: LiveNexus, tmp_path: Path, content: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    watch = KeyWatch(nexus.serving.nexus.platform, tmp_path / "data")
    path = signing_keys_path(tmp_path / "data")
    old = await token(nexus)
    path.unlink()
    if content is not None:
        path.write_text(content)

    with caplog.at_level(logging.ERROR, "nexus.keys"):
        await watch.look()

    assert ("signing_keys_unreadable" in caplog.text) is (content is not None)
    assert await over_http(nexus, old) == "let in"
    assert kid(await token(nexus)) == kid(old)
