"""A registration token lets in whom its terms allow, in whatever order things happen."""

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexus.domain.errors import Conflict, TokenRefused
from nexus.domain.registration import TokenState
from nexus.services import agents, approval, registration, registration_tokens
from nexus.services.approval import Reject
from nexus.services.registration import RegisterAgent
from nexus.services.registration_tokens import CreateToken
from oblivion.protocol import ApprovalStatus, ErrorCode
from service_world import ServiceWorld

_numbers = itertools.count(1)

WAITS = st.tuples(st.just("wait"), st.sampled_from([1, 59, 60, 3_599, 3_600]))
STEPS = st.one_of(st.just(("register", 0)), st.just(("register", 0)), WAITS, st.just(("revoke", 0)))

REFUSED = {
    TokenState.EXPIRED: ErrorCode.REGISTRATION_TOKEN_EXPIRED,
    TokenState.USED_UP: ErrorCode.REGISTRATION_TOKEN_USED_UP,
    TokenState.REVOKED: ErrorCode.REGISTRATION_TOKEN_REVOKED,
}


@dataclass
class Promise:
    """What a token should do, told in other words than the code's."""

    seconds_left: float
    uses_left: float
    uses: int = 0
    revoked: bool = False

    def state(self) -> TokenState:
        """Return what the token should be good for."""
        if self.revoked:
            return TokenState.REVOKED
        if self.seconds_left <= 0:
            return TokenState.EXPIRED
        return TokenState.ACTIVE if self.uses_left > 0 else TokenState.USED_UP


@settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    hours=st.none() | st.sampled_from([1, 0.5, 2]),
    max_uses=st.none() | st.integers(1, 4),
    steps=st.lists(STEPS, max_size=12),
)
def test_a_token_lets_in_exactly_whom_its_terms_allow(
    world: ServiceWorld, hours: float | None, max_uses: int | None, steps: list[tuple[str, int]]
) -> None:
    text = f"token-{next(_numbers)}"
    terms = CreateToken(group_id="team", expires_in_hours=hours, max_uses=max_uses)
    made = world.run(registration_tokens.create, world.admin, terms, text)
    promise = Promise(
        seconds_left=float("inf") if hours is None else hours * 3600,
        uses_left=float("inf") if max_uses is None else max_uses,
    )
    for what, seconds in steps:
        if what == "wait":
            world.time.advance(seconds=seconds)
            promise.seconds_left -= seconds
        elif what == "revoke":
            world.run(registration_tokens.revoke, world.admin, made.id)
            promise.revoked = True
        else:
            expect_an_attempt(world, text, promise)
        row = world.run(registration_tokens.row, world.admin.tenant_id, made.id)
        shown = registration_tokens.view(row, world.time())
        assert (shown.state, shown.uses) == (promise.state(), promise.uses)


def expect_an_attempt(world: ServiceWorld, token_hash: str, promise: Promise) -> None:
    """Register, and see the agent come in or be told why it does not."""
    before = world.run(approval.count_pending, world.admin.tenant_id).count
    state = promise.state()
    if state is TokenState.ACTIVE:
        world.run(registration.register, token_hash, an_agent(), "hash")
        promise.uses += 1
        promise.uses_left -= 1
    else:
        with pytest.raises(TokenRefused) as refusal:
            world.run(registration.register, token_hash, an_agent(), "hash")
        assert refusal.value.code == REFUSED[state]
    came = 1 if state is TokenState.ACTIVE else 0
    assert world.run(approval.count_pending, world.admin.tenant_id).count == before + came


def an_agent() -> RegisterAgent:
    """Return a wish under a client id of its own."""
    return RegisterAgent(
        name="Newcomer",
        client_id=f"newcomer-{next(_numbers)}",
        registration_token="known by its hash",  # type: ignore[arg-type]  # pydantic wraps it
    )


@settings(
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(decisions=st.lists(st.sampled_from(["approve", "reject"]), max_size=5))
def test_a_decision_stands_unless_a_rejection_is_taken_back(
    world: ServiceWorld, decisions: list[str]
) -> None:
    text = f"token-{next(_numbers)}"
    world.run(registration_tokens.create, world.admin, CreateToken(group_id="team"), text)
    agent = world.run(registration.register, text, an_agent(), "hash")
    wanted = ApprovalStatus.PENDING
    for decision in decisions:
        wanted, refused = after(wanted, decision)
        try:
            decide(world, agent.agent_id, decision)
        except Conflict:
            assert refused
        else:
            assert not refused
        found = world.run(agents.show, world.admin.tenant_id, agent.agent_id)
        assert found.approval_status == wanted
        assert bool(found.groups) == (wanted is ApprovalStatus.APPROVED)
        assert bool(found.pending_group) == (wanted is ApprovalStatus.PENDING)


def after(status: ApprovalStatus, decision: str) -> tuple[ApprovalStatus, bool]:
    """Return where a decision leads, and whether it is a conflict."""
    match status, decision:
        case (ApprovalStatus.APPROVED, _):
            return status, True
        case (_, "approve"):
            return ApprovalStatus.APPROVED, False
        case (ApprovalStatus.PENDING, _):
            return ApprovalStatus.REJECTED, False
        case _:
            return status, True


def decide(world: ServiceWorld, agent_id: str, decision: str) -> None:
    """Carry out a decision as an admin."""
    if decision == "approve":
        world.run(approval.approve, world.admin, agent_id)
    else:
        world.run(approval.reject, world.admin, agent_id, Reject(reason="why not"))
