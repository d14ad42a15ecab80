"""Tables that grow with traffic have a bound."""

from nexus.services import activity, agents, calls, dispatch, events, retention
from nexus.services.agents import Wake
from service_world import NODE, ServiceWorld

DAY_S = 24 * 3600


def test_acknowledged_events_go_after_a_week_and_others_stay(world: ServiceWorld) -> None:
    agent = world.agent("a")
    for _ in range(2):
        world.run(agents.wake, world.admin, agent, Wake())
    world.run(events.acknowledge, agent, [1])
    world.time.advance(seconds=7 * DAY_S - 1)
    assert world.run(retention.prune) == 0
    world.time.advance(seconds=2)
    assert world.run(retention.prune) == 1
    assert [event["seq"] for event in world.events_of(agent)] == [2]


def test_answers_of_calls_go_after_a_day(world: ServiceWorld) -> None:
    agent = world.agent("a")
    assert world.run(calls.once, agent, "id", lambda tx: {"first": True}) == {"first": True}
    world.time.advance(seconds=DAY_S + 1)
    world.run(retention.prune)
    assert world.run(calls.once, agent, "id", lambda tx: {"first": False}) == {"first": False}


def test_the_feed_goes_after_a_month(world: ServiceWorld) -> None:
    world.connect(world.agent("a"))
    world.task()
    world.run(dispatch.lease_next, NODE, 1000)
    world.time.advance(seconds=30 * DAY_S + 1)
    world.run(retention.prune)
    assert world.run(activity.newest, world.admin.tenant_id, limit=10) == []
