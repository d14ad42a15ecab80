"""Threads: who hears what, who is woken, what goes on."""

import pytest

from nexus.domain.errors import Invalid, NotFound
from nexus.services import attempts, dispatch, tasks, threads
from nexus.services.threads import Author
from oblivion.protocol import MAX_FRAME_BYTES, PostMessage, Task, TaskStatus
from service_world import NODE, ServiceWorld, update

ANN = Author(id="ann", name="Ann", is_human=True)


def held(world: ServiceWorld, agent: str) -> Task:
    world.connect(agent)
    task = world.task()
    world.run(dispatch.lease_next, NODE, world.limits.lease_ms)
    return task


def say(world: ServiceWorld, task: Task, text: str, author: Author = ANN) -> str:
    row = world.run(tasks.find, world.admin, task.id)
    return world.run(threads.post, row, author, text)


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
