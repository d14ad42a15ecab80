"""Fixtures: a Nexus and a Slack that know each other."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from slack_stage import Stage, in_no_hurry, stage


@pytest.fixture
async def on_stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage without pauses."""
    with in_no_hurry():
        async with stage(tmp_path / "data") as opened:
            yield opened
