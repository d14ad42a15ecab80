"""Where people see how Slack is connected and what goes to and fro, and have that tried again."""

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.responses import Response

from nexus.domain.deliveries import DeliveryStatus
from nexus.domain.errors import NotFound
from nexus.domain.principal import Principal
from nexus.observer.visit import Visit
from nexus.services import mailbox, workspace
from nexus.services.mailbox import DeliveryFilter
from nexus.services.resources import Backlog, Delivery
from nexus.services.workspace import SlackState, SlackStatus
from nexus.store.tx import Tx

_ROWS = 50
STATUSES = tuple(str(status) for status in DeliveryStatus)


@dataclass(frozen=True, kw_only=True)
class Post:
    """How Slack is connected, and a page of deliveries."""

    slack: SlackStatus
    boxes: list[Backlog]
    deliveries: list[Delivery]
    more: bool


async def page(visit: Visit) -> Response:
    """Show how Slack is connected, its channels, and what was delivered or not."""
    asked = visit.asked_of("box", "status")
    cursor = visit.asked.get("cursor")
    wanted = DeliveryFilter.model_validate({**asked, "cursor": cursor, "limit": _ROWS})
    state = _state(visit)
    post = await visit.read(lambda tx, caller: _post(tx, caller, state, wanted))
    older = {**asked, "cursor": post.deliveries[-1].id} if post.more else {}
    return visit.page(
        "slack.html",
        post=post,
        asked=asked,
        cursor=cursor,
        delivery_statuses=STATUSES,
        next_page="?" + urlencode(older) if older else None,
    )


def _state(visit: Visit) -> SlackState | None:
    """Return how this node is connected, if it is with the workspace of the person's tenant."""
    connected = visit.house.workspace
    if connected is None or connected.tenant_id != visit.claimed.tenant_id:
        return None
    return connected.state


def _post(tx: Tx, caller: Principal, state: SlackState | None, wanted: DeliveryFilter) -> Post:
    rows = mailbox.search(tx, caller.tenant_id, wanted)
    return Post(
        slack=workspace.status(tx, caller.tenant_id, state),
        boxes=mailbox.backlog(tx, caller.tenant_id),
        deliveries=[mailbox.view(row) for row in rows[:_ROWS]],
        more=len(rows) > _ROWS,
    )


async def retry_delivery(visit: Visit) -> Response:
    """Have a delivery that failed tried again, as if it were new."""
    named = visit.names["delivery_id"]
    if not named.isascii() or not named.isdigit():
        raise NotFound(f"there is no delivery {named}")
    await visit.write(lambda tx, caller: mailbox.retry(tx, caller, int(named)))
    return visit.back("/ui/slack", "delivery-retried")


async def resume_in_slack(visit: Visit) -> Response:
    """Have the messages of an agent shown again that was paused for going round in circles."""
    agent_id = visit.names["agent_id"]
    await visit.write(lambda tx, caller: workspace.resume(tx, caller, agent_id))
    return visit.back("/ui/slack", "agent-resumed")
