"""JSON values survive the database as they are."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
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


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceWorld]:
    world = ServiceWorld(tmp_path_factory.mktemp("json") / "nexus.db")
    yield world
    world.database.close()


@given(result=json_values)
@settings(max_examples=50, deadline=None)
def test_every_result_comes_back_as_it_was(shared: ServiceWorld, result: object) -> None:
    client_id = f"agent-{shared.time()}"
    shared.time.advance(seconds=1)
    agent = shared.agent(client_id)
    shared.connect(agent)
    task = shared.task()
    shared.run(dispatch.lease_next, NODE, shared.limits.lease_ms)
    holder = shared.show(task.id).claimed_by_agent_id
    assert holder is not None
    shared.run(attempts.update, holder, done(task, result=result))
    assert shared.show(task.id).result == result
