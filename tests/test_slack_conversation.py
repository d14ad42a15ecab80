"""People in Slack and agents that are programs of their own talk in one thread, from end to end.

The user's own complete example runs as it stands, and one of ours that asks and answers.
"""

import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from code_blocks import code_blocks
from example_agents import working_example
from live_nexus import AGENT_SECRET
from programs import python_program
from slack_town import Town, town

SEED = Path(__file__).parent / "seed" / "python-sdk-quickstart.md"


def complete_example(url: str) -> str:
    """Return the document's complete example with our address and secret."""
    (block,) = [one for one in code_blocks(SEED, "python") if "code-reviewer" in one.text]
    text = block.text.replace("http://localhost:3000", url)
    return re.sub(r'client_secret="[^"]*"', f'client_secret="{AGENT_SECRET}"', text)


@pytest.fixture(params=[False, True], ids=["http", "socket-mode"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Town]:
    """A Nexus that Slack calls, and one that calls Slack."""
    async with town(tmp_path, socket_mode=request.param) as opened:
        yield opened


async def test_the_complete_example_is_heard_and_hears_in_slack(
    place: Town, tmp_path: Path
) -> None:
    await place.admin.agent("code-reviewer")
    script = tmp_path / "agent.py"
    script.write_text(complete_example(place.url))
    async with python_program(script) as program:
        await program.until("✅ Connected! Agent ID:")

        asked = await place.ask("Review the parser")
        await program.until("📋 Reviewing: Review the parser")
        card = await place.reply(asked, "Review the parser")
        await place.shows(card, "In progress", "Code Reviewer", "Team")

        await place.anna.say(place.channel, "I have a *question*: what of <tabs>?", thread=asked)
        await program.until("❓ Question from anna")

        await place.anna.say(place.channel, f"{place.slack.mention} how far?", thread=asked)
        task_id = await place.task_of(asked)
        await program.until(f"👋 Woken up for task: {task_id}")
        await program.until("Reason: mention")

        await program.until("Review complete: ✅ Code looks good! No issues found.")
        await place.shows(card, "Done")
        assert program.output.count("❓ Question from anna") == 1
        assert program.output.count("👋 Woken up") == 1
        assert "Traceback" not in program.output
        program.send(signal.SIGINT)
        await program.ended()

    late = await place.anna.say(place.channel, "@code-reviewer thank you", thread=asked)
    await place.reply(asked, "Code Reviewer is offline")
    await place.slack.until(lambda: "eyes" in place.channel.message(late).reactions)


async def test_an_agent_asks_in_the_thread_and_reports_what_it_found(tmp_path: Path) -> None:
    shop = tmp_path / "project" / "shop.py"
    shop.parent.mkdir()
    shop.write_text('"""A shop."""\nimport os\n')
    root = {"CODE_REVIEW_ROOT": str(shop.parent)}
    async with (
        town(tmp_path) as place,
        working_example("code_reviewer", place.admin, "reviewer", tmp_path, **root),
    ):
        channel = await place.slack.until(lambda: place.slack.channel("oblivion-reviewer_reviewer"))
        asked = await place.anna.say(channel, f"{place.slack.mention} Look it over, please")
        question = await place.reply(asked, "Which Python files shall I review?")
        assert (question.username, question.icon) == ("Reviewer", ":robot_face:")
        card = await place.reply(asked, "Look it over, please")
        await place.shows(card, "Waiting for a person")

        await place.anna.say(channel, "shop.py, the rest is old", thread=asked)
        report = await place.reply(asked, "1 finding (1 F401)")
        assert report.username == "Reviewer"
        offer = await place.reply(asked, "Shall I show the diff?")
        assert [button.label for button in offer.buttons] == ["yes", "no"]

        await place.anna.click(offer, "yes")
        await place.reply(asked, "-import os")
        await place.shows(offer, "anna chose *yes*")
        await place.shows(card, "Done", "Reviewer")
        assert place.channel_of(asked).message(offer).buttons == ()
