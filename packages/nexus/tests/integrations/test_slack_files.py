"""Agents read the names of what people hang on their messages, and what they hand on."""

from typing import Any

import pytest

from nexus.integrations.slack.reading import files, words
from slack_stage import CHANNEL, Stage


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("As drawn here", "As drawn here\n(files: login.png, notes.pdf)"),
        ("", "(files: login.png, notes.pdf)"),
    ],
)
async def test_the_names_of_files_reach_the_agent_with_the_words(
    on_stage: Stage, text: str, heard: str
) -> None:
    await on_stage.nexus.admin.task("Mend the login")
    card = await on_stage.card_of("Mend the login")
    async with on_stage.agent() as coder:
        await coder.until("task_assigned")
        attached = ("login.png", "notes.pdf")
        await on_stage.anna.say(CHANNEL, text, thread=card, files=attached)
        assert (await coder.until("context_update"))["content"] == heard


async def test_a_task_is_asked_for_with_its_files(on_stage: Stage) -> None:
    asked = f"{on_stage.slack.mention} Build this page"
    await on_stage.anna.say(CHANNEL, asked, files=["page.fig"])
    async with on_stage.agent() as coder:
        assigned = await coder.until("task_assigned")
    assert assigned["title"] == "Build this page"
    assert assigned["description"] == "Build this page\n(file: page.fig)"


@pytest.mark.parametrize(
    ("message", "read"),
    [
        (
            {"text": "Look", "attachments": [{"is_share": True, "text": "It is red"}]},
            "Look\nIt is red",
        ),
        (
            {"text": "see <https://x.example>", "attachments": [{"title": "X", "text": "preview"}]},
            "see <https://x.example>",
        ),
        (
            {"text": "", "attachments": [{"fallback": "Build 12 is red"}, {"text": "Twice"}]},
            "Build 12 is red\nTwice",
        ),
        ({"attachments": "broken", "text": 7}, ""),
    ],
)
def test_what_is_handed_on_is_read_and_previews_are_not(message: dict[str, Any], read: str) -> None:
    assert words(message) == read


def test_a_file_that_slack_does_not_name_is_still_one() -> None:
    assert files({"files": [{"id": "F1"}, "broken", {"name": "a\x00b"}]}) == (
        "(files: without a name, ab)"
    )
    assert files({"files": []}) == files({}) == ""
