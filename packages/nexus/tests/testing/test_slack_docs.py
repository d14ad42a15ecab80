"""The page on the Slack for tests names whatever a test can do with it."""

import re
from pathlib import Path
from typing import get_args

import pytest

from nexus.testing.slack import Channel, Fault, Message, Person, Rules, Seal, SlackServer

PAGE = Path(__file__).parents[4] / "docs" / "guides" / "slack-stand-in.md"
INNER = {"time", "workspace", "wire", "created", "creator", "team_id", "posted", "kind"}
"""Public between the rooms of the stand-in, and none of a test's business."""


def names_of(thing: type) -> set[str]:
    fields = getattr(thing, "__annotations__", {})
    return {name for name in {*vars(thing), *fields} if not name.startswith("_")} - INNER


@pytest.mark.parametrize("thing", [SlackServer, Person, Rules])
def test_every_name_of_it_stands_on_the_page(thing: type) -> None:
    words = set(re.findall(r"\w+", PAGE.read_text()))
    assert names_of(thing) - words == set()


def test_every_fault_and_every_seal_stands_on_the_page() -> None:
    words = set(re.findall(r"\w+", PAGE.read_text()))
    faults = {fault.__name__ for fault in get_args(Fault)}
    assert (faults | {seal.name for seal in Seal}) - words == set()


def test_what_the_page_reads_of_channels_and_messages_is_there() -> None:
    shown = set(re.findall(r"`\.?(\w+)(?:\(root\))?`", _row('slack.channel("zoo").messages')))
    assert shown - names_of(Channel) - names_of(Message) == set()


def _row(start: str) -> str:
    (row,) = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{start}")]
    return row
