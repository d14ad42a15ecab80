"""Where the commands live that say who may have which tools do what, and show what was done."""

import json
from typing import Annotated, Any

import typer

from nexus.cli import cells
from nexus.cli.addresses import segment
from nexus.cli.errors import BadUsage
from nexus.cli.output import Columns
from nexus.cli.session import LimitOption, Session, calls_api

app = typer.Typer(help="Allow agents to use tools, and see what they do.", no_args_is_help=True)

RULES = "/observer/tools/rules"

ToolsArgument = Annotated[
    list[str],
    typer.Argument(metavar="TOOL.ACTION...", help="What it is about; * stands for anything."),
]
GroupOption = Annotated[
    list[str] | None,
    typer.Option(help="A group that it holds for, by slug or id; may be repeated; else all."),
]
AgentOption = Annotated[
    list[str] | None,
    typer.Option(help="An agent that it holds for, by client id; may be repeated; else all."),
]
ParamOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="What a parameter must be: a pattern, or JSON; may be repeated.",
    ),
]
NameOption = Annotated[str, typer.Option(help="What people call the rule.")]

TOOLS: Columns = {
    "TOOL": cells.field("name"),
    "OFFERED BY": cells.field("offeredBy"),
    "WHAT IT DOES": cells.field("description"),
}
POLICY: Columns = {
    "EFFECT": cells.field("effect"),
    "TOOLS": cells.field("tools"),
    "GROUPS": cells.field("groups"),
    "AGENTS": cells.field("agents"),
    "PARAMS": cells.compact("params"),
    "LIMITS": cells.field("limits"),
    "NAME": cells.field("name"),
    "ID": cells.field("id"),
}
CALLS: Columns = {
    "WHEN": cells.moment("createdAt"),
    "AGENT": cells.field("agentName"),
    "TOOL": cells.field("name"),
    "STATE": cells.coloured("state"),
    "RULE": cells.field("rule"),
    "BY": cells.field("decidedBy"),
    "ERROR": cells.field("error"),
    "ID": cells.field("id"),
}


@app.command("list")
@calls_api
def list_(session: Session) -> None:
    """List the tools that agents could be allowed, and what is wrong with those that are down."""
    found = session.nexus.get("/observer/tools")["items"]
    rows = [row for tool in found for row in _actions(tool)]
    session.out.listing(rows, TOOLS)


def _actions(tool: dict[str, Any]) -> list[dict[str, Any]]:
    if tool.get("problem"):
        return [{"name": tool["name"], "description": f"cannot be used: {tool['problem']}"}]
    return [
        {
            "name": f"{tool['name']}.{action['action']}",
            "offeredBy": action.get("offeredBy"),
            "description": action["description"].partition("\n")[0],
            "inputSchema": action["inputSchema"],
        }
        for action in tool["actions"]
    ]


@app.command(epilog="Example: nexus tools allow 'github.*' --group core --param 'repo=my-org/*'")
@calls_api
def allow(  # noqa: PLR0913, PLR0917 - each is an option
    session: Session,
    tools: ToolsArgument,
    group: GroupOption = None,
    agent: AgentOption = None,
    param: ParamOption = None,
    approval: Annotated[
        bool, typer.Option("--approval", help="Have a person approve each call first.")
    ] = False,
    approval_seconds: Annotated[
        int | None, typer.Option(help="For how long a call waits for that; else an hour.")
    ] = None,
    per_minute: Annotated[
        int | None, typer.Option(help="How many calls an agent may make in a minute; else any.")
    ] = None,
    at_once: Annotated[
        int | None, typer.Option(help="How many of an agent's calls may be at work; else 10.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="How many seconds the tool may take; else 60.")
    ] = None,
    name: NameOption = "",
) -> None:
    """Allow agents to have tools do something; rules before this one go before it."""
    given = {
        **_whom(tools, group, agent, param),
        "name": name,
        "requiresApproval": approval,
        "approvalSeconds": approval_seconds,
        "perMinute": per_minute,
        "atOnce": at_once,
        "timeoutSeconds": timeout,
    }
    _create(session, given)


@app.command(epilog="Example: nexus tools deny 'github.delete_*' --name 'never delete'")
@calls_api
def deny(
    session: Session,
    tools: ToolsArgument,
    group: GroupOption = None,
    agent: AgentOption = None,
    param: ParamOption = None,
    name: NameOption = "",
) -> None:
    """Deny it, whatever other rules allow."""
    _create(session, {**_whom(tools, group, agent, param), "effect": "deny", "name": name})


def _whom(
    tools: list[str], group: list[str] | None, agent: list[str] | None, param: list[str] | None
) -> dict[str, Any]:
    return {
        "tools": tools,
        "groups": group or [],
        "agents": agent or [],
        "params": dict(map(_param, param or [])),
    }


def _param(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise BadUsage(f"--param: write NAME=VALUE, not {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _create(session: Session, given: dict[str, Any]) -> None:
    made = session.nexus.post(RULES, {key: it for key, it in given.items() if it is not None})
    session.out.record(made if session.out.json else _rule(made), _FIELDS)


@app.command()
@calls_api
def policy(session: Session) -> None:
    """List the rules in the order in which they hold; without one, nothing is allowed."""
    found = session.nexus.get(RULES)["items"]
    session.out.listing(found if session.out.json else [_rule(one) for one in found], POLICY)


def _rule(made: dict[str, Any]) -> dict[str, Any]:
    rule = made["rule"]
    limits = [
        *(["approval"] if rule["requiresApproval"] else []),
        *([f"{rule['perMinute']} a minute"] if rule.get("perMinute") else []),
        *([f"{rule['atOnce']} at once"] if rule["effect"] == "allow" else []),
    ]
    return {**rule, "id": made["id"], "limits": limits}


_FIELDS: Columns = {name.lower(): cell for name, cell in POLICY.items()}


@app.command()
@calls_api
def forget(
    session: Session,
    rule: Annotated[str, typer.Argument(metavar="ID", help="The rule's id.")],
) -> None:
    """Remove a rule; what it allowed is allowed no more."""
    session.nexus.delete(f"{RULES}/{segment(rule)}")
    session.out.done(f"forgot {rule}", {"ok": True})


@app.command()
@calls_api
def calls(
    session: Session,
    limit: LimitOption = 50,
    state: Annotated[
        str | None, typer.Option(help="Only calls that stand there, e.g. running or done.")
    ] = None,
) -> None:
    """List what agents asked tools for, newest first, and what became of it."""
    found = session.nexus.listing("/observer/tools/calls", limit=limit, state=state)
    named = [{**call, "name": f"{call['tool']}.{call['action']}"} for call in found.items]
    session.out.listing(named, CALLS, hasMore=found.has_more)
