"""Threads: who hears what, who is woken, what goes on."""

import pytest

from nexus.domain.errors import Invalid, NotFound
from nexus.services import activity, attempts, dispatch, tasks, thoughts, threads
from nexus.services.threads import Author, Posted
from nexus.store import schema
from nexus.store.tx import Row
from oblivion.protocol import (
    MAX_FRAME_BYTES,
    MessageKind,
    PostMessage,
    Task,
    TaskStatus,
    Think,
    Thought,
    ThreadMessage,
)
from service_world import NODE, ServiceWorld, update

ANN = Author(id="ann", name="Ann", is_human=True)


def held(world: ServiceWorld, agent: str) -> Task:
    world.connect(agent)
    task = world.task()
    world.run(dispatch.lease_next, NODE, world.limits.lease_ms)
    return task


def say(world: ServiceWorld, task: Task, text: str, author: Author = ANN) -> str:
    return post(world, task, text, author).ts


def post(world: ServiceWorld, task: Task, text: str, author: Author = ANN) -> Posted:
    row = world.run(tasks.find, world.admin, task.id)
    return world.run(threads.post, row, author, text)


def thread(world: ServiceWorld, task: Task) -> list[ThreadMessage]:
    return world.run(threads.page, task.id, limit=100, after=0).messages


def feed(world: ServiceWorld) -> Row:
    return world.run(activity.newest, world.admin.tenant_id, limit=1)[0]


def heard(world: ServiceWorld, agent: str) -> list[tuple[str, str]]:
    return [
        (event["type"], event["payload"].get("content", event["payload"].get("message")))
        for event in world.events_of(agent)
        if event["type"] in {"context_update", "wake_up"}
    ]


def test_a_persons_message_reaches_the_agent_that_holds_the_task(world: ServiceWorld) -> None:
    holder, bystander = world.agent("holder"), world.agent("bystander")
    task = held(world, holder)
    say(world, task, "How is it going?")
    assert heard(world, holder) == [("context_update", "How is it going?")]
    assert heard(world, bystander) == []
    assert world.events_of(holder)[-1]["payload"]["isHuman"] is True


def test_an_agent_never_hears_its_own_echo_but_another_agent_does(world: ServiceWorld) -> None:
    holder, other = world.agent("holder"), world.agent("other")
    task = held(world, holder)
    world.run(threads.post_as_agent, holder, PostMessage(task_id=task.id, text="mine"))
    world.run(threads.post_as_agent, other, PostMessage(task_id=task.id, text="yours"))
    assert heard(world, holder) == [("context_update", "yours")]
    assert world.events_of(holder)[-1]["payload"]["isHuman"] is False


def test_a_mention_wakes_an_agent_by_name_or_client_id(world: ServiceWorld) -> None:
    one, two = world.agent("code-reviewer"), world.agent("tester")
    task = world.task()
    say(world, task, "@Code-Reviewer and @tester, look")
    assert (
        heard(world, one) == heard(world, two) == [("wake_up", "@Code-Reviewer and @tester, look")]
    )
    (event,) = world.events_of(one)
    assert event["payload"]["reason"] == "mention"
    assert event["payload"]["taskId"] == task.id


def test_a_mention_of_the_app_wakes_the_holder(world: ServiceWorld) -> None:
    holder = world.agent("holder")
    task = held(world, holder)
    say(world, task, "@oblivion?")
    assert ("wake_up", "@oblivion?") in heard(world, holder)


def test_a_persons_answer_takes_a_blocked_task_on(world: ServiceWorld) -> None:
    holder = world.agent("holder")
    task = held(world, holder)
    world.run(attempts.update, holder, update(task, TaskStatus.BLOCKED_ON_HUMAN))
    world.run(threads.post_as_agent, holder, PostMessage(task_id=task.id, text="Well?"))
    assert world.show(task.id).status is TaskStatus.BLOCKED_ON_HUMAN
    say(world, task, "Yes")
    assert world.show(task.id).status is TaskStatus.IN_PROGRESS


def test_messages_of_one_instant_keep_their_order_and_pages_are_whole(world: ServiceWorld) -> None:
    task = world.task()
    stamps = [say(world, task, str(number)) for number in range(5)]
    assert stamps == sorted(set(stamps))
    first = world.run(threads.page, task.id, limit=3, after=0)
    assert [message.text for message in first.messages] == ["0", "1", "2"]
    assert first.has_more
    rest = world.run(threads.page, task.id, limit=3, after=int(first.next_cursor or 0))
    assert [message.text for message in rest.messages] == ["3", "4"]
    assert not rest.has_more


def test_a_message_too_large_for_a_frame_is_refused_whole(world: ServiceWorld) -> None:
    task = world.task()
    with pytest.raises(Invalid, match="shorten"):
        say(world, task, "ü" * MAX_FRAME_BYTES)
    assert world.run(threads.page, task.id, limit=3, after=0).messages == []


def test_an_agent_of_another_group_cannot_speak(world: ServiceWorld) -> None:
    task = world.task()
    with pytest.raises(NotFound):
        world.run(threads.post_as_agent, "stranger", PostMessage(task_id=task.id, text="hi"))


def test_an_edit_is_told_to_the_holder_as_the_same_message(world: ServiceWorld) -> None:
    holder = world.agent("holder")
    task = held(world, holder)
    posted = post(world, task, "Use mian")
    row = world.run(tasks.find, world.admin, task.id)
    assert world.run(threads.edit, row, posted.id, "Use main, @holder")
    payload = world.events_of(holder)[-1]["payload"]
    assert (payload["messageTs"], payload["content"]) == (posted.ts, "Use main, @holder")
    assert (payload["edited"], payload["deleted"]) == (True, False)
    assert [type_ for type_, _ in heard(world, holder)] == ["context_update"] * 2, "it wakes nobody"
    (message,) = thread(world, task)
    assert (message.text, message.edited, message.deleted) == ("Use main, @holder", True, False)
    assert feed(world)["type"] == "message_edited"
    assert feed(world)["data"]["message_id"] == posted.id


def test_a_deleted_message_keeps_its_place_without_its_text(world: ServiceWorld) -> None:
    holder = world.agent("holder")
    task = held(world, holder)
    posted = post(world, task, "oops, my password")
    say(world, task, "next")
    row = world.run(tasks.find, world.admin, task.id)
    assert world.run(threads.delete, row, posted.id)
    payload = world.events_of(holder)[-1]["payload"]
    assert (payload["messageTs"], payload["content"]) == (posted.ts, "")
    assert (payload["edited"], payload["deleted"]) == (False, True)
    first, second = thread(world, task)
    assert (first.ts, first.text, first.deleted) == (posted.ts, "", True)
    assert (second.text, second.deleted) == ("next", False)
    assert feed(world)["type"] == "message_deleted"
    assert feed(world)["data"]["text"] == ""


def test_what_changes_nothing_is_told_to_nobody(world: ServiceWorld) -> None:
    holder = world.agent("holder")
    task = held(world, holder)
    posted = post(world, task, "as it is")
    row = world.run(tasks.find, world.admin, task.id)
    assert not world.run(threads.edit, row, posted.id, "as it is")
    assert world.run(threads.delete, row, posted.id)
    assert not world.run(threads.delete, row, posted.id)
    assert not world.run(threads.edit, row, posted.id, "back again"), "what is gone stays gone"
    assert len(heard(world, holder)) == 2
    assert thread(world, task)[0].text == ""


def test_neither_an_edit_nor_a_deletion_answers_a_question(world: ServiceWorld) -> None:
    holder = world.agent("holder")
    task = held(world, holder)
    posted = post(world, task, "hm")
    world.run(attempts.update, holder, update(task, TaskStatus.BLOCKED_ON_HUMAN))
    row = world.run(tasks.find, world.admin, task.id)
    world.run(threads.edit, row, posted.id, "yes")
    world.run(threads.delete, row, posted.id)
    assert world.show(task.id).status is TaskStatus.BLOCKED_ON_HUMAN


def test_a_message_is_changed_in_its_own_thread_alone(world: ServiceWorld) -> None:
    task, other = world.task(), world.task()
    posted = post(world, task, "here")
    row = world.run(tasks.find, world.admin, other.id)
    with pytest.raises(NotFound):
        world.run(threads.edit, row, posted.id, "there")
    for message_id in (posted.id, "no-such-message"):
        with pytest.raises(NotFound):
            world.run(threads.delete, row, message_id)
    assert thread(world, task)[0].text == "here"


def test_an_edit_too_large_for_a_frame_is_refused_whole(world: ServiceWorld) -> None:
    task = world.task()
    posted = post(world, task, "short")
    row = world.run(tasks.find, world.admin, task.id)
    with pytest.raises(Invalid, match="shorten"):
        world.run(threads.edit, row, posted.id, "ü" * MAX_FRAME_BYTES)
    assert thread(world, task)[0].text == "short"


def test_a_question_keeps_the_answers_it_offers(world: ServiceWorld) -> None:
    holder = world.agent("holder")
    task = held(world, holder)
    asked = PostMessage(
        task_id=task.id, text="Ship?", kind=MessageKind.QUESTION, choices=["Yes", "No"]
    )
    world.run(threads.post_as_agent, holder, asked)
    say(world, task, "Yes")
    question, answer = thread(world, task)
    assert (question.kind, question.choices) == (MessageKind.QUESTION, ["Yes", "No"])
    assert (answer.kind, answer.choices) == (MessageKind.MESSAGE, [])


def test_the_feed_says_which_message_stands_where_and_who_made_it(world: ServiceWorld) -> None:
    holder = world.agent("holder")
    task = held(world, holder)
    posted = post(world, task, "one")
    said = feed(world)
    assert (said["data"]["message_id"], said["data"]["message_ts"]) == (posted.id, posted.ts)
    assert (said["agent_id"], "broadcast" in said["data"]) == (None, False)
    loud = PostMessage(task_id=task.id, text="two", broadcast=True)
    world.run(threads.post_as_agent, holder, loud)
    assert (feed(world)["agent_id"], feed(world)["data"]["broadcast"]) == (holder, True)


def test_a_program_of_others_is_no_agent_and_no_person(world: ServiceWorld) -> None:
    holder = world.agent("holder")
    task = held(world, holder)
    world.run(attempts.update, holder, update(task, TaskStatus.BLOCKED_ON_HUMAN))
    post(world, task, "build failed", Author(id="B123", name="CI", is_human=False))
    assert world.events_of(holder)[-1]["payload"]["isHuman"] is False
    assert feed(world)["agent_id"] is None
    assert world.show(task.id).status is TaskStatus.BLOCKED_ON_HUMAN


def test_agents_are_told_where_in_slack_people_talk(world: ServiceWorld) -> None:
    holder = world.agent("holder")
    task = world.task()
    place = {"slack_channel_id": "C1", "slack_thread_ts": "1.000001"}
    world.run(lambda tx: tx.update(schema.tasks, place, id=task.id))
    world.connect(holder)
    world.run(dispatch.lease_next, NODE, world.limits.lease_ms)
    say(world, task, "here")
    for event in world.events_of(holder):
        assert event["payload"]["slackChannelId"] == "C1"
        assert event["payload"]["slackThreadTs"] == "1.000001"
    shown = world.show(task.id)
    assert (shown.slack_channel_id, shown.slack_thread_ts) == ("C1", "1.000001")
    answered = world.run(threads.say, world.admin, task.id, threads.Say(text="there"))
    assert answered.channel_id == "C1"


def test_progress_is_edited_in_place_and_is_no_news(world: ServiceWorld) -> None:
    holder, other = world.agent("holder"), world.agent("other")
    task = held(world, holder)
    for share, words in [(0.2, "reading, @other"), (0.4, "running tests")]:
        report = update(task, TaskStatus.IN_PROGRESS, progress=share, message=words)
        world.run(attempts.update, holder, report)
    (shown,) = thread(world, task)
    assert (shown.kind, shown.text, shown.username) == ("progress", "40 %: running tests", "Holder")
    assert (shown.is_human, shown.edited) == (False, True)
    assert heard(world, holder) == heard(world, other) == []
    types = [entry["type"] for entry in world.run(activity.of_task, task.id, limit=10)]
    assert types == ["task_created", "task_assigned", "task_started", "task_progress"]


def test_thoughts_stand_with_their_task_and_do_not_crowd_out_what_happened(
    world: ServiceWorld,
) -> None:
    holder = world.agent("holder")
    task = held(world, holder)
    for number in range(5):
        wish = Think(task_id=task.id, thoughts=[Thought(text=f"hm {number}")], dropped=number)
        world.run(thoughts.record, holder, wish)
    entries = world.run(activity.of_task, task.id, limit=3)
    assert [entry["type"] for entry in entries] == [
        "task_created",
        "task_assigned",
        *["agent_thought"] * 3,
    ]
    assert entries[-1]["data"]["text"] == "(4 earlier ones were dropped)\nhm 4"
    assert feed(world)["type"] == "task_assigned"
    assert thread(world, task) == []
    with pytest.raises(NotFound):
        world.run(thoughts.record, "stranger", Think(task_id=task.id, thoughts=[]))
