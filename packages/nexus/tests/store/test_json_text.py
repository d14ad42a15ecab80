"""JSON values survive the database as they are."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexus.services import attempts, dispatch
from service_world import NODE, ServiceWorld, done

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(result=json_values)
@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # one world for all values
)
def test_every_result_comes_back_as_it_was(world: ServiceWorld, result: object) -> None:
    client_id = f"agent-{world.time()}"
    world.time.advance(seconds=1)
    agent = world.agent(client_id)
    world.connect(agent)
    task = world.task()
    world.run(dispatch.lease_next, NODE, world.limits.lease_ms)
    holder = world.show(task.id).claimed_by_agent_id
    assert holder is not None
    world.run(attempts.update, holder, done(task, result=result))
    assert world.show(task.id).result == result
