"""Fixtures: a Nexus and a Slack that know each other."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nexus.integrations import worker
from slack_stage import Stage, in_no_hurry, stage


@pytest.fixture
async def on_stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage without pauses."""
    with in_no_hurry():
        async with stage(tmp_path / "data") as opened:
            yield opened


@pytest.fixture
def impatient_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a Nexus give up at once what hangs when it stops; by ``usefixtures``, so before it."""
    monkeypatch.setattr(worker, "FINISH_S", 0.01)
