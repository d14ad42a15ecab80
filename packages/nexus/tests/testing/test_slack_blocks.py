"""The Slack for tests checks blocks by the limits of Block Kit: at the limit yes, one more no."""

from typing import Any

import pytest

from nexus.testing.slack import RefusedError
from nexus.testing.slack._blocks import check_blocks

Json = dict[str, Any]


def text(kind: str, length: int) -> Json:
    return {"type": kind, "text": "x" * length}


def button(**fields: Any) -> Json:
    return {"type": "button", "text": text("plain_text", 3), "action_id": "a", **fields}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


def section(**fields: Any) -> Json:
    return {"type": "section", **fields}


def many(count: int) -> list[Json]:
    return [button(action_id=str(number)) for number in range(count)]


FITTING: dict[str, list[Json]] = {
    "50 blocks": [{"type": "divider"}] * 50,
    "section of 3,000": [section(text=text("mrkdwn", 3000))],
    "10 fields of 2,000": [section(fields=[text("mrkdwn", 2000)] * 10)],
    "header of 150": [{"type": "header", "text": text("plain_text", 150)}],
    "markdown of 12,000": [{"type": "markdown", "text": "x" * 12_000}],
    "context of 10": [{"type": "context", "elements": [text("mrkdwn", 3)] * 10}],
    "25 buttons": [actions(*many(25))],
    "button label of 75": [actions(button(text=text("plain_text", 75)))],
    "action id of 255": [actions(button(action_id="x" * 255))],
    "value of 2,000": [actions(button(value="x" * 2000))],
    "button beside a section": [section(text=text("plain_text", 1), accessory=button())],
    "image": [{"type": "image", "image_url": "https://x.example/x.png", "alt_text": "x"}],
}

BREAKING: dict[str, tuple[list[Json], str]] = {
    "51 blocks": ([{"type": "divider"}] * 51, "/blocks]"),
    "section of 3,001": ([section(text=text("mrkdwn", 3001))], "/blocks/0/text/text]"),
    "section without words": ([section(text=text("mrkdwn", 0))], "/blocks/0/text/text]"),
    "section without text": ([section()], "/blocks/0]"),
    "11 fields": ([section(fields=[text("mrkdwn", 1)] * 11)], "/blocks/0/fields]"),
    "field of 2,001": (
        [section(fields=[text("mrkdwn", 2001)])],
        "/blocks/0/fields/0/text]",
    ),
    "header of 151": (
        [{"type": "header", "text": text("plain_text", 151)}],
        "/blocks/0/text/text]",
    ),
    "header in mrkdwn": ([{"type": "header", "text": text("mrkdwn", 3)}], "/blocks/0/text]"),
    "markdown of 12,001": ([{"type": "markdown", "text": "x" * 12_001}], "/blocks/0/text]"),
    "context of 11": (
        [{"type": "context", "elements": [text("mrkdwn", 3)] * 11}],
        "/blocks/0/elements]",
    ),
    "26 buttons": ([actions(*many(26))], "/blocks/0/elements]"),
    "no buttons": ([actions()], "/blocks/0/elements]"),
    "button label of 76": (
        [actions(button(text=text("plain_text", 76)))],
        "/blocks/0/elements/0/text/text]",
    ),
    "button label in mrkdwn": (
        [actions(button(text=text("mrkdwn", 3)))],
        "/blocks/0/elements/0/text]",
    ),
    "action id of 256": (
        [actions(button(action_id="x" * 256))],
        "/blocks/0/elements/0/action_id]",
    ),
    "action id twice": ([actions(button(), button())], "/blocks/0/elements]"),
    "value of 2,001": (
        [actions(button(value="x" * 2001))],
        "/blocks/0/elements/0/value]",
    ),
    "unknown style": (
        [actions(button(style="green"))],
        "/blocks/0/elements/0/style]",
    ),
    "unknown block": ([{"type": "carpet"}], "/blocks/0/type]"),
    "unknown element": ([actions({"type": "lever"})], "/blocks/0/elements/0/type]"),
    "block id of 256": ([{"type": "divider", "block_id": "x" * 256}], "/blocks/0/block_id]"),
    "block id twice": ([{"type": "divider", "block_id": "x"}] * 2, "/blocks]"),
    "image without words": (
        [{"type": "image", "image_url": "https://x.example/x.png"}],
        "/blocks/0/alt_text]",
    ),
}


@pytest.mark.parametrize("blocks", FITTING.values(), ids=FITTING.keys())
def test_what_fits_is_taken(blocks: list[Json]) -> None:
    assert check_blocks(blocks) == blocks


@pytest.mark.parametrize(("blocks", "place"), BREAKING.values(), ids=BREAKING.keys())
def test_what_breaks_a_limit_is_refused_and_told_where(blocks: list[Json], place: str) -> None:
    with pytest.raises(RefusedError, match=r"^invalid_blocks$") as refused:
        check_blocks(blocks)
    (message,) = refused.value.details["response_metadata"]["messages"]
    assert message.endswith(place), message


def test_markdown_of_all_blocks_together_has_a_limit() -> None:
    half = {"type": "markdown", "text": "x" * 6_000}
    check_blocks([half, half])
    with pytest.raises(RefusedError, match="msg_blocks_too_long"):
        check_blocks([half, half, {"type": "markdown", "text": "x"}])


@pytest.mark.parametrize("blocks", [{"type": "divider"}, ["divider"], "no list"])
def test_blocks_are_a_list_of_objects(blocks: Any) -> None:
    with pytest.raises(RefusedError, match="invalid_blocks_format"):
        check_blocks(blocks)
