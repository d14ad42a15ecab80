"""Tasks, questions and approvals look as Slack takes them, and say how they stand."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.integrations.slack import lines
from nexus.integrations.slack.rendering import (
    Approval,
    Block,
    Part,
    Press,
    TaskCard,
    Verb,
    answered,
    approval,
    card,
    choices,
    decided,
    group_channel,
    icon_for,
    pressed,
    project_channel,
)
from oblivion.protocol import TaskStatus

STATUSES = st.sampled_from(TaskStatus)
NASTY = st.one_of(st.text(max_size=600), st.text(alphabet="<>&!@|\n ", max_size=4000))
OPTION = st.builds(
    lambda text, times: (text * times)[:200], st.text(min_size=1), st.integers(1, 100)
)
SLUG = st.from_regex(r"\A[a-z0-9]+(-[a-z0-9]+){0,8}\Z").map(lambda slug: slug[:64].strip("-"))


def task(**changes: Any) -> TaskCard:
    values: dict[str, Any] = {
        "id": "t1",
        "title": "Fix the login",
        "status": TaskStatus.TODO,
        "project": "web",
    }
    return TaskCard(**{**values, **changes})


def of_type(part: Part, type_: str) -> list[Block]:
    return [block for block in part.blocks if block["type"] == type_]


def buttons(part: Part) -> list[Block]:
    return [element for row in of_type(part, "actions") for element in row["elements"]]


def verbs_of(part: Part) -> list[Verb]:
    presses = [pressed(button) for button in buttons(part)]
    return [press.verb for press in presses if press is not None]


def assert_fits(blocks: list[Block]) -> None:
    """Hold blocks against the limits of Slack's pages."""
    assert len(blocks) <= 50
    for block in blocks:
        texts = [block.get("text"), *block.get("fields", [])]
        for text in filter(None, texts):
            assert 0 < len(text["text"]) <= (3000 if text is block.get("text") else 2000)
        elements = block.get("elements", [])
        assert len(elements) <= {"actions": 25, "context": 10}.get(block["type"], 99)
        for element in elements:
            if element["type"] == "button":
                assert 0 < len(element["text"]["text"]) <= 75
                assert len(element["value"]) <= 2000
        ids = [element["action_id"] for element in elements if "action_id" in element]
        assert len(ids) == len(set(ids))


def test_a_card_tells_of_the_task() -> None:
    drawn = card(
        task(
            title="Fix <login>",
            status=TaskStatus.IN_PROGRESS,
            priority=1,
            holder="Reviewer",
            description="It fails & burns",
            progress=0.42,
            report="42 %: running <tests>\n@channel look",
            url="https://n.example/tasks/t1",
        )
    )
    shown = json.dumps(drawn.blocks, ensure_ascii=False)
    for words in (
        "*<https://n.example/tasks/t1|Fix &lt;login&gt;>*",
        ":large_blue_circle: In progress",
        "Urgent",
        "web",
        "Reviewer",
        "It fails &amp; burns",
        "████░░░░░░ 42 %: running &lt;tests&gt; @\u200bchannel look",
    ):
        assert words in shown
    assert drawn.text == "Fix &lt;login&gt;: in progress (web)"


def test_a_failed_task_says_why_and_can_be_retried() -> None:
    drawn = card(task(status=TaskStatus.FAILED, error="no <disk>"))
    assert "no &lt;disk&gt;" in json.dumps(drawn.blocks)
    assert [pressed(button) for button in buttons(drawn)] == [Press(verb=Verb.RETRY, target="t1")]


def test_an_open_task_can_be_cancelled_by_who_is_sure() -> None:
    for status in TaskStatus:
        verbs = verbs_of(card(task(status=status)))
        assert verbs == EXPECTED[status], status
    (cancel,) = buttons(card(task()))
    assert cancel["confirm"]["title"]["text"] == "Cancel this task?"


EXPECTED = {
    **{status: [Verb.CANCEL] for status in TaskStatus},
    TaskStatus.FAILED: [Verb.RETRY],
    TaskStatus.CANCELLED: [Verb.RETRY],
    TaskStatus.DONE: [],
}


@given(NASTY, NASTY, NASTY, STATUSES, st.none() | st.floats(allow_nan=False))
def test_a_card_fits_whatever_the_task_says(
    title: str, description: str, error: str, status: TaskStatus, progress: float | None
) -> None:
    drawn = card(
        task(
            title=title or "x",
            description=description,
            error=error,
            status=status,
            progress=progress,
            report=error or None,
            holder=title[:200] or None,
            url="https://n.example/" + "x" * len(title),
        )
    )
    assert_fits(drawn.blocks)


def test_a_question_offers_its_choices_and_a_press_says_which() -> None:
    blocks = choices("q1", ["Ship it", "Wait"])
    part = Part(text="?", blocks=blocks)
    assert [button["text"]["text"] for button in buttons(part)] == ["Ship it", "Wait"]
    assert [pressed(button) for button in buttons(part)] == [
        Press(verb=Verb.CHOOSE, target="q1", choice=0),
        Press(verb=Verb.CHOOSE, target="q1", choice=1),
    ]


@given(st.lists(OPTION, min_size=1, max_size=25))
def test_no_choice_is_lost(options: list[str]) -> None:
    blocks = choices("q1", options)
    part = Part(text="?", blocks=blocks)
    assert_fits(blocks)
    listed = "".join(block["text"]["text"] for block in of_type(part, "section"))
    labels = [button["text"]["text"] for button in buttons(part)]
    assert len(labels) == len(options)
    for option, label in zip(options, labels, strict=True):
        assert option == label or option in listed


def test_an_answered_question_says_who_chose_what_and_has_no_buttons() -> None:
    asked = Part(
        text="Ship?", blocks=[{"type": "markdown", "text": "Ship?"}, *choices("q", ["Yes"])]
    )
    asked.blocks[-1]["block_id"] = "as Slack returns it"
    asked.blocks[-1]["elements"][0]["verbatim"] = False
    done = answered(asked, "<@U1>", "<!here>")
    assert [block["type"] for block in done.blocks] == ["markdown", "context"]
    assert "<@U1> chose *@\u200bhere*" in done.blocks[-1]["elements"][0]["text"]


@pytest.mark.parametrize(
    "action",
    [
        {},
        {"action_id": "oblivion:cancel"},
        {"action_id": "oblivion:cancel", "value": ""},
        {"action_id": "oblivion:explode", "value": "t1"},
        {"action_id": "other:cancel", "value": "t1"},
        {"action_id": "oblivion:choose:1", "value": "q1"},
        {"action_id": None, "value": 7},
    ],
)
def test_a_press_of_what_is_no_button_of_ours_means_nothing(action: dict[str, Any]) -> None:
    assert pressed(action) is None


def call(**arguments: Any) -> Approval:
    return Approval(
        id="a1",
        agent="Reviewer",
        tool="github",
        action="merge",
        arguments=arguments,
        digest="sha256:abc",
    )


def preformatted(part: Part) -> str:
    (block,) = of_type(part, "rich_text")
    text: str = block["elements"][0]["elements"][0]["text"]
    return text


def test_an_approval_shows_the_exact_arguments() -> None:
    asked = approval(call(number=7, note="```<!here>"))
    assert json.loads(preformatted(asked)) == {"number": 7, "note": "```<!here>"}
    assert verbs_of(asked) == [Verb.APPROVE, Verb.DENY]
    assert "sha256" not in json.dumps(asked.blocks)


def test_nothing_hides_in_arguments() -> None:
    shown = preformatted(approval(call(path="safe\u202egnp.exe\u200b")))
    assert r"safe\u202egnp.exe\u200b" in shown


def test_arguments_that_are_too_long_are_visibly_cut() -> None:
    asked = approval(call(body="x" * 9000))
    assert_fits(asked.blocks)
    (note,) = of_type(asked, "context")
    assert "more characters" in note["elements"][0]["text"]
    assert "sha256:abc" in note["elements"][0]["text"]


def test_a_decision_takes_the_place_of_the_buttons() -> None:
    approved = decided(approval(call(number=7)), "Ada", approved=True)
    denied = decided(approval(call(number=7)), "Ada", approved=False, why="too soon")
    assert not buttons(approved)
    assert "Approved by Ada" in approved.blocks[-1]["elements"][0]["text"]
    assert "Denied by Ada: too soon" in denied.blocks[-1]["elements"][0]["text"]


def test_agents_have_the_icon_of_what_they_can_do() -> None:
    assert icon_for(["python", "code-review"]) == ":mag:"
    assert icon_for(["Python"]) == ":snake:"
    assert icon_for([]) == icon_for(["juggling"]) == ":robot_face:"


def test_channels_are_named_after_their_owners() -> None:
    assert group_channel("core") == "oblivion-group-core"
    assert project_channel("core", "web-app") == "oblivion-core_web-app"


@given(SLUG, SLUG, SLUG, SLUG)
def test_channel_names_are_what_slack_takes_and_all_different(
    group: str, project: str, other: str, another: str
) -> None:
    names = {
        project_channel(group, project),
        project_channel(other, another),
        group_channel(group),
        group_channel(other),
    }
    for name in names:
        assert 0 < len(name) <= 80
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")
    assert len(names) == len({(group, project), (other, another)}) + len({group, other})


def test_a_name_that_is_too_long_is_shortened_in_the_same_way_each_time() -> None:
    long = "a" * 64
    assert project_channel(long, long) == project_channel(long, long)
    assert project_channel(long, long) != project_channel(long, "a" * 63)


def test_what_the_app_says_carries_no_markup_of_others() -> None:
    for line in (
        lines.heard_offline(["<!here>"]),
        lines.paused("Bot", "it said <!channel> twice"),
        lines.refused("<b>"),
        lines.held_back("<!everyone>"),
        lines.cancelled_by("<!here>"),
    ):
        assert "<!" not in line
        assert "<b>" not in line
