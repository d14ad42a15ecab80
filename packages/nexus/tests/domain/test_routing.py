"""Which agent gets which task."""

from hypothesis import given
from hypothesis import strategies as st

from nexus.domain.routing import Candidate, Wanted, choose_agent, match

ABILITIES = ["python", "rust", "docs"]
TEAMS = ["a", "b"]


def candidate(agent_id: str, **more: object) -> Candidate:
    values = {
        "agent_id": agent_id,
        "groups": frozenset({"a"}),
        "capabilities": frozenset(),
        "load": 0,
        "max_concurrency": 1,
        "idle_since": 0,
    }
    return Candidate(**{**values, **more})  # type: ignore[arg-type]  # built from a mapping


def wanted(task_id: str = "t", *, group: str = "a", capabilities: tuple[str, ...] = ()) -> Wanted:
    return Wanted(task_id=task_id, group_id=group, capabilities=frozenset(capabilities))


def test_the_least_loaded_agent_is_chosen() -> None:
    busy = candidate("busy", load=1, max_concurrency=9)
    free = candidate("free", max_concurrency=9, idle_since=99)
    assert choose_agent(wanted(), [busy, free]) == free


def test_of_equals_the_one_idle_longest_is_chosen() -> None:
    fresh, rested = candidate("fresh", idle_since=2), candidate("rested", idle_since=1)
    assert choose_agent(wanted(), [fresh, rested]) == rested


def test_an_agent_needs_every_capability() -> None:
    some = candidate("some", capabilities=frozenset({"python"}))
    assert choose_agent(wanted(capabilities=("python", "rust")), [some]) is None


def test_an_agent_of_another_group_is_never_chosen() -> None:
    assert choose_agent(wanted(group="b"), [candidate("stranger")]) is None


def test_a_task_that_fits_nobody_does_not_hold_up_the_next() -> None:
    pairs = match([wanted("hard", capabilities=("rust",)), wanted("easy")], [candidate("x")])
    assert list(pairs) == [("easy", "x")]


candidates = st.builds(
    Candidate,
    agent_id=st.uuids().map(str),
    groups=st.frozensets(st.sampled_from(TEAMS)),
    capabilities=st.frozensets(st.sampled_from(ABILITIES)),
    load=st.integers(0, 3),
    max_concurrency=st.integers(1, 3),
    idle_since=st.integers(0, 5),
)
tasks = st.builds(
    Wanted,
    task_id=st.uuids().map(str),
    group_id=st.sampled_from(TEAMS),
    capabilities=st.frozensets(st.sampled_from(ABILITIES), max_size=2),
)


@given(
    st.lists(tasks, max_size=12, unique_by=lambda task: task.task_id),
    st.lists(candidates, max_size=6, unique_by=lambda one: one.agent_id),
)
def test_no_match_breaks_a_rule_and_none_is_left_out(
    waiting: list[Wanted], agents: list[Candidate]
) -> None:
    by_id = {agent.agent_id: agent for agent in agents}
    pairs = dict(match(waiting, agents))
    for task in waiting:
        if task.task_id in pairs:
            agent = by_id[pairs[task.task_id]]
            assert agent.fits(task)
            by_id[agent.agent_id] = agent.with_one_more()
        else:
            assert not any(agent.fits(task) for agent in by_id.values())
