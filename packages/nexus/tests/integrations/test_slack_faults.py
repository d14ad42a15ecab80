"""Slack fails in every way it can, and nothing is lost, nothing said twice."""

from pathlib import Path

import pytest

from eventually import eventually
from nexus.testing.slack import (
    CutAfter,
    CutBefore,
    Fault,
    Hangs,
    RateLimited,
    Refuses,
    ServerFails,
)
from slack_stage import CHANNEL, Stage, in_no_hurry, stage


@pytest.mark.parametrize(
    "fault",
    [
        RateLimited(retry_after_s=1),
        ServerFails(status=503),
        Refuses(error="fatal_error"),
        CutBefore(),
        CutAfter(),
    ],
    ids=repr,
)
async def test_what_slack_did_not_take_is_said_again_and_once(
    on_stage: Stage, fault: Fault
) -> None:
    on_stage.slack.fail("chat.postMessage", fault)
    await on_stage.nexus.admin.task("Mend the login")
    await on_stage.nexus.admin.task("Write the notes")
    await on_stage.card_of("Write the notes")
    titles = [card.shown.partition("\n")[0] for card in on_stage.channel.messages]
    assert titles == ["*Mend the login*", "*Write the notes*"]


async def test_a_lost_answer_that_cannot_be_looked_for_is_left_to_people(on_stage: Stage) -> None:
    slack, admin = on_stage.slack, on_stage.nexus.admin
    slack.fail("chat.postMessage", CutAfter())
    slack.fail("conversations.history", Refuses(error="missing_scope"))
    task = await admin.task("Mend the login")
    await admin.task("Write the notes")
    await on_stage.card_of("Write the notes")
    failed = (await admin.get("/observer/deliveries", status="failed"))["items"]
    assert [one["taskId"] for one in failed] == [task["id"]]
    assert "may have been posted already" in failed[0]["error"]


async def test_a_token_that_is_revoked_is_told_and_keeps_what_waits(on_stage: Stage) -> None:
    on_stage.slack.revoke_tokens()
    await on_stage.nexus.admin.task("Mend the login")

    async def is_told() -> bool:
        status = await on_stage.nexus.admin.get("/observer/slack")
        return not status["connected"] and "does not accept the token" in (status["trouble"] or "")

    await eventually(is_told, what="the status tells of the token")
    waiting = (await on_stage.nexus.admin.get("/observer/deliveries", box="slack-out"))["items"]
    assert [one["status"] for one in waiting if one["kind"] == "card"] == ["pending"]


async def test_a_root_that_somebody_deleted_gets_a_new_one(on_stage: Stage) -> None:
    await on_stage.nexus.admin.task("Mend the login")
    card = await on_stage.card_of("Mend the login")
    await on_stage.anna.delete(card)
    again = await on_stage.card_of("Mend the login")
    assert again.ts != card.ts
    async with on_stage.agent() as coder:
        await coder.until("task_assigned")
        await on_stage.anna.say(CHANNEL, "Still there?", thread=again)
        heard = await coder.until("context_update")
    assert heard["slackThreadTs"] == again.ts


async def test_a_channel_that_slack_does_not_know_any_more_is_made_anew(on_stage: Stage) -> None:
    made = len(on_stage.slack.calls("conversations.create"))
    on_stage.slack.fail("chat.postMessage", Refuses(error="channel_not_found"))
    await on_stage.nexus.admin.task("Mend the login")
    await on_stage.card_of("Mend the login")
    assert len(on_stage.slack.calls("conversations.create")) == made + 1


async def test_a_channel_that_is_there_already_is_taken_over(tmp_path: Path) -> None:
    with in_no_hurry():
        async with stage(tmp_path / "data") as opened:
            slack = opened.slack
            slack.open_channel("oblivion-team_docs", opened.anna)
            await opened.nexus.admin.project("docs", group="team")
            await opened.nexus.admin.task("Write the notes", project="docs")
            await slack.until(lambda: slack.channel("oblivion-team_docs").messages)


async def test_a_project_that_is_archived_takes_its_channel_along(on_stage: Stage) -> None:
    answer = await on_stage.nexus.admin.http.delete("/projects/team")
    assert answer.is_success
    await on_stage.slack.until(lambda: on_stage.channel.is_archived)


@pytest.mark.usefixtures("impatient_at_the_end")
async def test_slack_that_hangs_holds_up_nothing_else(on_stage: Stage) -> None:
    on_stage.slack.fail("chat.postMessage", Hangs())
    await on_stage.nexus.admin.task("Mend the login")
    await on_stage.slack.until(lambda: on_stage.slack.calls("chat.postMessage"))
    async with on_stage.agent() as coder:
        assert (await coder.until("task_assigned"))["title"] == "Mend the login"
