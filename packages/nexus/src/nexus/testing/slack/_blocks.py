"""Where blocks are checked by the limits of Block Kit (pure).

https://docs.slack.dev/reference/block-kit: each limit stands on the page of its block.
"""

from collections.abc import Callable
from typing import Any

from nexus.testing.slack._errors import RefusedError
from nexus.testing.slack._messages import Json

MOST_BLOCKS = 50
MOST_MARKDOWN = 12_000
"""Of all markdown blocks of a message together."""
_ID = 255
_UNCHECKED = {"divider", "rich_text", "input", "video", "file", "table", "context_actions"}
_SELECTS = {
    "static_select",
    "external_select",
    "users_select",
    "conversations_select",
    "channels_select",
    "multi_static_select",
    "overflow",
    "radio_buttons",
    "checkboxes",
    "datepicker",
    "timepicker",
    "datetimepicker",
    "plain_text_input",
    "workflow_button",
}


class _Check:
    """Collects what is wrong, each with a pointer to its place."""

    def __init__(self) -> None:
        self.wrong: list[str] = []

    def fail(self, what: str, at: str) -> None:
        self.wrong.append(f"[ERROR] {what} [json-pointer:{at}]")

    def length(self, value: Any, at: str, *, most: int, least: int = 1) -> None:
        if not isinstance(value, str):
            self.fail("must be a string", at)
        elif len(value) < least:
            self.fail(f"must be more than {least - 1} characters", at)
        elif len(value) > most:
            self.fail(f"must be less than {most + 1} characters", at)

    def count(self, items: Any, at: str, *, most: int) -> list[Any]:
        if not isinstance(items, list) or not items:
            self.fail("must provide at least 1 item", at)
            return []
        if len(items) > most:
            self.fail(f"no more than {most} items allowed", at)
        return items

    def text(self, value: Any, at: str, *, most: int, plain: bool = False) -> None:
        kinds = ("plain_text",) if plain else ("plain_text", "mrkdwn")
        if not isinstance(value, dict) or value.get("type") not in kinds:
            self.fail(f"must be a text object of type {' or '.join(kinds)}", at)
            return
        self.length(value.get("text"), f"{at}/text", most=most)

    def button(self, button: Json, at: str) -> None:
        self.text(button.get("text"), f"{at}/text", most=75, plain=True)
        for name, most in (("action_id", _ID), ("value", 2000), ("url", 3000)):
            if name in button:
                self.length(button[name], f"{at}/{name}", most=most)
        if button.get("style", "primary") not in {"primary", "danger"}:
            self.fail("must be primary or danger", f"{at}/style")

    def element(self, element: Any, at: str) -> None:
        kind = element.get("type") if isinstance(element, dict) else None
        if kind == "button":
            self.button(element, at)
        elif kind == "image":
            self.image(element, at)
        elif kind in _SELECTS:
            self.length(element.get("action_id", "-"), f"{at}/action_id", most=_ID)
        else:
            self.fail(f"unsupported type: {kind}", f"{at}/type")

    # --- blocks ---------------------------------------------------------------------------------

    def section(self, block: Json, at: str) -> None:
        if "text" not in block and "fields" not in block:
            self.fail("missing required field: text or fields", at)
        if "text" in block:
            self.text(block["text"], f"{at}/text", most=3000)
        if "fields" in block:
            for number, one in enumerate(self.count(block["fields"], f"{at}/fields", most=10)):
                self.text(one, f"{at}/fields/{number}", most=2000)
        if "accessory" in block:
            self.element(block["accessory"], f"{at}/accessory")

    def header(self, block: Json, at: str) -> None:
        self.text(block.get("text"), f"{at}/text", most=150, plain=True)

    def markdown(self, block: Json, at: str) -> None:
        self.length(block.get("text"), f"{at}/text", most=MOST_MARKDOWN)

    def context(self, block: Json, at: str) -> None:
        for number, one in enumerate(self.count(block.get("elements"), f"{at}/elements", most=10)):
            place = f"{at}/elements/{number}"
            if isinstance(one, dict) and one.get("type") == "image":
                self.image(one, place)
            else:
                self.text(one, place, most=3000)

    def actions(self, block: Json, at: str) -> None:
        elements = self.count(block.get("elements"), f"{at}/elements", most=25)
        for number, one in enumerate(elements):
            self.element(one, f"{at}/elements/{number}")
        ids = [one.get("action_id") for one in elements if isinstance(one, dict)]
        if len(ids) != len({*ids}) and None not in ids:
            self.fail("`action_id` must be unique within a block", f"{at}/elements")

    def image(self, block: Json, at: str) -> None:
        self.length(block.get("image_url"), f"{at}/image_url", most=3000)
        self.length(block.get("alt_text"), f"{at}/alt_text", most=2000)


def check_blocks(blocks: Any) -> list[Json]:
    """Return the blocks of a message.

    Raises:
        RefusedError: ``invalid_blocks_format``, ``invalid_blocks`` (``response_metadata`` says
            where), or ``msg_blocks_too_long``: more markdown than a message may hold.
    """
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise RefusedError("invalid_blocks_format")
    check = _Check()
    if len(blocks) > MOST_BLOCKS:
        check.fail(f"no more than {MOST_BLOCKS} items allowed", "/blocks")
    for number, block in enumerate(blocks):
        _check_block(check, block, f"/blocks/{number}")
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    if len(ids) != len({*ids}):
        check.fail("`block_id` must be unique", "/blocks")
    if check.wrong:
        raise RefusedError("invalid_blocks", response_metadata={"messages": check.wrong})
    if sum(len(block["text"]) for block in blocks if block["type"] == "markdown") > MOST_MARKDOWN:
        raise RefusedError("msg_blocks_too_long")
    return blocks


def _check_block(check: _Check, block: Json, at: str) -> None:
    if "block_id" in block:
        check.length(block["block_id"], f"{at}/block_id", most=_ID)
    kinds: dict[str, Callable[[Json, str], None]] = {
        "actions": check.actions,
        "context": check.context,
        "header": check.header,
        "image": check.image,
        "markdown": check.markdown,
        "section": check.section,
    }
    kind = block.get("type", "")
    if kind in kinds:
        kinds[kind](block, at)
    elif kind not in _UNCHECKED:
        check.fail(f"unsupported type: {kind}", f"{at}/type")
