"""Where an agent joins a team by itself: it asks, looks how that stands, waits for the approval."""

import asyncio
import secrets
from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from oblivion._checks import ARGUMENTS
from oblivion._clock import Clock, SystemClock, sleep, within
from oblivion._config import Secret, clean_url
from oblivion._network import Network
from oblivion.errors import AgentPending, AgentRejected, OblivionError
from oblivion.protocol import ApprovalStatus, ErrorCode, Registration, RegistrationStatus

if TYPE_CHECKING:
    from oblivion._lobby import Lobby

_PREFIX = "obv_"
"""What secrets of 256 random bits begin with; Nexus checks such ones quickly."""


async def register_agent(  # noqa: PLR0913 - what a registration says
    nexus_url: str,
    registration_token: str,
    *,
    client_id: str,
    name: str = "",
    client_secret: str | None = None,
    description: str = "",
    email: str | None = None,
    capabilities: Iterable[str] = (),
    network: Network | None = None,
) -> Registration:
    """Ask to join the group of a registration token, and return what to connect with.

    The agent may connect once an admin has approved it: see :func:`wait_for_approval`. When the
    answer gets lost on the way, the request is sent again, and has no second effect.

    Args:
        nexus_url: the address of Nexus, such as ``http://localhost:3000``.
        registration_token: what an admin gave you, ``reg_`` and 43 characters.
        client_id: what the agent connects with: letters, digits, ``.``, ``_`` and ``-``.
        name: what people call it; else the client id.
        client_secret: its secret, 8 to 256 characters; else a random one is made.
        description: what it is good for.
        email: whom to ask about it.
        capabilities: what it can do, such as ``["python", "review"]``.
        network: how Nexus is reached.

    Returns:
        The registration. Keep its ``client_secret`` now: nobody shows it again.

    Raises:
        RegistrationTokenRefused: the token is unknown, expired, used up or revoked; ``code``
            says which.
        ClientIdTaken: another agent has this client id; that costs no use of the token.
        PayloadRefused: Nexus cannot take one of the values; the message says which.
        NexusUnreachable: nothing usable answered at ``nexus_url``.
        RateLimited: too many registrations; try again later.
        InvalidArgument: an argument is wrong; nothing was sent. ConfigurationError for the URL.
    """
    chosen = ARGUMENTS.optional_text("client_secret", client_secret)
    secret = Secret(chosen if chosen is not None else _PREFIX + secrets.token_urlsafe(32))
    body: dict[str, Any] = {
        "registrationToken": ARGUMENTS.text("registration_token", registration_token).strip(),
        "clientId": ARGUMENTS.text("client_id", client_id),
        "clientSecret": secret.reveal(),
        "name": ARGUMENTS.text("name", name, empty=True) or client_id,
        "description": ARGUMENTS.text("description", description, empty=True),
        "capabilities": list(ARGUMENTS.names("capabilities", capabilities)),
    }
    if ARGUMENTS.optional_text("email", email) is not None:
        body["email"] = email
    async with await _lobby(nexus_url, network) as lobby:
        registration = await lobby.register(body)
    return registration.model_copy(update={"client_secret": secret.reveal()})


async def registration_status(
    nexus_url: str, client_id: str, client_secret: str, *, network: Network | None = None
) -> RegistrationStatus:
    """Return whether an admin has approved or rejected the agent, or it still waits.

    Raises:
        AuthenticationFailed: client id or secret was not accepted.
        NexusUnreachable: nothing usable answered at ``nexus_url``.
        RateLimited: too many questions; try again later.
        InvalidArgument: an argument is wrong. ConfigurationError for the URL.
    """
    who, secret = _credentials(client_id, client_secret)
    async with await _lobby(nexus_url, network) as lobby:
        return await lobby.status(who, secret)


async def wait_for_approval(  # noqa: PLR0913 - whom to ask, and how to wait
    nexus_url: str,
    client_id: str,
    client_secret: str,
    *,
    timeout: float | None = None,
    poll_interval: float = 5.0,
    network: Network | None = None,
    clock: Clock | None = None,
) -> RegistrationStatus:
    """Return when an admin has approved the agent; look every ``poll_interval`` seconds.

    A Nexus that goes away meanwhile is waited for, too.

    Args:
        nexus_url: the address of Nexus.
        client_id: the agent's client id.
        client_secret: its secret.
        timeout: how many seconds to wait; None waits without end.
        poll_interval: how many seconds to wait between two looks.
        network: how Nexus is reached.
        clock: where time comes from; tests bring their own.

    Raises:
        AgentRejected: an admin rejected the agent; the message gives the reason.
        AgentPending: nobody decided within ``timeout``.
        AuthenticationFailed: client id or secret was not accepted.
        NexusUnreachable: at the first look nothing usable answered at ``nexus_url``.
        InvalidArgument: an argument is wrong. ConfigurationError for the URL.
    """
    who, secret = _credentials(client_id, client_secret)
    seconds = ARGUMENTS.seconds("timeout", timeout)
    pause = ARGUMENTS.number("poll_interval", poll_interval, low=0, above=True)
    time: Clock = clock if clock is not None else SystemClock()
    try:
        async with within(time, seconds), await _lobby(nexus_url, network) as lobby:
            status = await lobby.status(who, secret)
            while status.approval_status is ApprovalStatus.PENDING:
                await sleep(time, pause)
                status = await _look_again(lobby, who, secret) or status
    except TimeoutError:
        raise AgentPending(
            f"no admin has decided about {client_id} within {seconds:g} s",
            code=ErrorCode.AGENT_PENDING,
        ) from None
    if status.approval_status is ApprovalStatus.REJECTED:
        reason = status.rejection_reason or "no reason given"
        raise AgentRejected(f"this agent was rejected: {reason}", code=ErrorCode.AGENT_REJECTED)
    return status


async def _look_again(lobby: "Lobby", client_id: str, secret: Secret) -> RegistrationStatus | None:
    try:
        return await lobby.status(client_id, secret)
    except OblivionError as error:
        if not error.retryable:
            raise
        return None


def _credentials(client_id: str, client_secret: str) -> tuple[str, Secret]:
    secret = Secret(ARGUMENTS.text("client_secret", client_secret))
    return ARGUMENTS.text("client_id", client_id), secret


async def _lobby(nexus_url: str, network: Network | None) -> "Lobby":
    url = clean_url(nexus_url)
    # The network libraries load now, on a thread: the loop may have other work.
    await asyncio.to_thread(import_module, "oblivion._lobby")
    from oblivion._lobby import open_lobby  # noqa: PLC0415 - see above

    return await open_lobby(url, network or Network())
