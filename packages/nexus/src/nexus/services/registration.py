"""Where agents ask to join, by themselves, and learn what became of it."""

from pydantic import Field, SecretStr

from nexus.domain.errors import ClientIdTaken, Forbidden, TooManyAttempts
from nexus.services import activity, agents, approval, registration_tokens
from nexus.services.agents import NewAgent
from nexus.store.schema import registrations
from nexus.store.tx import Row, Tx
from oblivion.protocol import ApprovalStatus, Registration, RegistrationStatus

MOST_PENDING = 1_000
"""A token without a limit that got into wrong hands fills no database."""

_PAUSE_S = 60


class RegisterAgent(NewAgent):
    """An agent asks to join the group of its registration token."""

    registration_token: SecretStr = Field(min_length=1, max_length=256)


def register(tx: Tx, token_hash: str, wish: RegisterAgent, secret_hash: str) -> Registration:
    """Make an agent that waits for an admin's approval, and count one use of the token.

    Raises:
        TokenRefused: the token lets nobody in (any more).
        ClientIdTaken: the client id is another's; that costs no use.
        TooManyAttempts: too many agents wait for a decision already.
    """
    token = registration_tokens.known(tx, token_hash)
    registration_tokens.spend(tx, token)
    if approval.count_pending(tx, token["tenant_id"]).count >= MOST_PENDING:
        waiting = f"{MOST_PENDING} agents wait for a decision already"
        raise TooManyAttempts(f"{waiting}; ask an admin to decide about them first", _PAUSE_S)
    if agents.is_taken(tx, wish.client_id):
        raise ClientIdTaken(agents.taken(wish.client_id))
    tenant_id = token["tenant_id"]
    agent_id = agents.enroll(tx, tenant_id, wish, secret_hash, ApprovalStatus.PENDING)
    tx.insert(
        registrations,
        {
            "agent_id": agent_id,
            "token_id": token["id"],
            "group_id": token["group_id"],
            "created_at": tx.now,
        },
    )
    activity.record(
        tx,
        tenant_id,
        "agent_registered",
        agent_id=agent_id,
        name=wish.name,
        group=token["group_name"],
        token_id=token["id"],
        by=wish.client_id,
    )
    return Registration(
        id=agent_id,
        agent_id=agent_id,
        client_id=wish.client_id,
        name=wish.name,
        approval_status=ApprovalStatus.PENDING,
        pending_group=agents.wished_groups(tx, [agent_id])[agent_id],
        message="registered; an admin must approve this agent before it can connect",
    )


def status(tx: Tx, client: Row) -> RegistrationStatus:
    """Return where the wish of a client that proved who it is stands.

    Raises:
        Forbidden: the client is no agent.
    """
    if client["agent_id"] is None:
        raise Forbidden("only agents are approved; use an agent's credentials")
    agent = agents.by_id(tx, client["agent_id"])
    shown = agents.present(tx, [agent])[0]
    return RegistrationStatus(
        approval_status=shown.approval_status,
        pending_group=shown.pending_group,
        rejection_reason=shown.rejection_reason,
        is_banned=shown.is_banned,
    )
