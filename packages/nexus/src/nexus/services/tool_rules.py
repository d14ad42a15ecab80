"""Where admins say who may have which tools do what; without a rule, nothing is allowed."""

from collections.abc import Sequence

from nexus.domain.errors import Conflict, NotFound
from nexus.domain.principal import Principal
from nexus.domain.tool_policy import KnownRule, Rule
from nexus.services import activity, views
from nexus.services.resources import ToolRule
from nexus.store.ids import new_id
from nexus.store.tool_tables import tool_rules
from nexus.store.tx import Row, Tx

MOST_RULES = 500

FROM_FILE = "settings"
"""Who made the rules that stand in the settings."""


def create(tx: Tx, caller: Principal, rule: Rule) -> ToolRule:
    """Add a rule behind those that are there.

    Raises:
        Conflict: there are too many.
    """
    tx.exclude("tool rules", caller.tenant_id)  # or two would take the same place
    rows = _rows(tx, caller.tenant_id)
    if len(rows) >= MOST_RULES:
        raise Conflict(f"there are {MOST_RULES} rules already; remove one first")
    row = {
        "id": new_id(),
        "tenant_id": caller.tenant_id,
        "place": rows[-1]["place"] + 1 if rows else 1,
        "rule": rule.model_dump(mode="json", exclude_defaults=True),
        "created_by": caller.client_id,
        "created_at": tx.now,
    }
    tx.insert(tool_rules, row)
    activity.record(
        tx,
        caller.tenant_id,
        "tool_rule_added",
        rule=rule.name or row["id"],
        tools=rule.tools,
        by=caller.client_id,
    )
    return _view(row)


def remove(tx: Tx, caller: Principal, rule_id: str) -> None:
    """Remove a rule; calls that wait for approval are judged without it.

    Raises:
        NotFound: there is none, or it stands in the settings.
    """
    mine = (tool_rules.c.tenant_id == caller.tenant_id) & (tool_rules.c.id == rule_id)
    if not tx.change(tool_rules.delete().where(mine)):
        raise NotFound(f"there is no rule {rule_id} here; those of the settings are changed there")
    activity.record(tx, caller.tenant_id, "tool_rule_removed", rule=rule_id, by=caller.client_id)


def known(tx: Tx, tenant_id: str, from_file: Sequence[KnownRule]) -> list[KnownRule]:
    """Return the rules that hold for a tenant, in order: those of the settings come first."""
    made = [
        KnownRule(id=row["id"], rule=Rule.model_validate(row["rule"]))
        for row in _rows(tx, tenant_id)
    ]
    return [*from_file, *made]


def shown(tx: Tx, tenant_id: str, from_file: Sequence[KnownRule]) -> list[ToolRule]:
    """Return the rules that hold for a tenant, in order, as HTTP shows them."""
    fixed = [ToolRule(id=one.id, created_by=FROM_FILE, rule=_wire(one.rule)) for one in from_file]
    return [*fixed, *map(_view, _rows(tx, tenant_id))]


def _rows(tx: Tx, tenant_id: str) -> Sequence[Row]:
    mine = tool_rules.select().where(tool_rules.c.tenant_id == tenant_id)
    return tx.rows(mine.order_by(tool_rules.c.place))


def _view(row: Row) -> ToolRule:
    return ToolRule(
        id=row["id"],
        created_by=row["created_by"],
        created_at=views.moment(row["created_at"]),
        rule=_wire(Rule.model_validate(row["rule"])),
    )


def _wire(rule: Rule) -> dict[str, object]:
    return rule.model_dump(mode="json", by_alias=True, exclude_none=True)
