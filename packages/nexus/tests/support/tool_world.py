"""Where tests call the services of the tool gateway: a world, its rules, and a node that runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nexus.domain.principal import Principal
from nexus.domain.tool_calls import Outcome
from nexus.domain.tool_catalogue import Action
from nexus.domain.tool_policy import KnownRule, Rule
from nexus.services import approvals, tool_calls, tool_rules, tool_runs
from nexus.services.sessions import SessionRef
from nexus.services.tool_gate import Gate, Tool
from nexus.services.tool_runs import Keeper, Start
from nexus.store.tx import Row
from nexus.tools.output import Inspection
from oblivion.protocol import EventType, ToolAnswer, ToolCode, ToolOffer, ToolRequest
from service_world import NODE, ServiceWorld

ECHO = Action(
    tool="echo",
    action="say",
    description="Says it again",
    input_schema={
        "type": "object",
        "properties": {"text": {"type": "string"}, "to": {"type": "string"}},
        "required": ["text"],
        "additionalProperties": False,
    },
)
READ = Action(tool="echo", action="read", idempotent=True)


class ToolWorld(ServiceWorld):
    """A team whose Nexus has the tool ``echo``; nothing is allowed but by :meth:`allow`."""

    def __init__(self, database: str | Path) -> None:
        super().__init__(database)
        tool = Tool(
            name="echo",
            tenants=frozenset({"default"}),
            actions={action.action: action for action in (ECHO, READ)},
        )
        self.gate = Gate(tools={"echo": tool}, audit_key=b"k" * 32)

    def keeper(self, node_id: str = NODE) -> Keeper:
        """Return what a node judges by."""
        return Keeper(node_id=node_id, gate=self.gate, check=Inspection())

    def allow(self, *tools: str, caller: Principal | None = None, **limits: Any) -> str:
        """Add a rule and return its id."""
        rule = Rule(tools=list(tools), **limits)
        return self.run(tool_rules.create, caller or self.admin, rule).id

    def request(
        self,
        ref: SessionRef,
        action: str = "echo.say",
        params: Any = None,
        *,
        request_id: str = "r1",
        traceparent: str | None = None,
        **more: Any,
    ) -> str:
        """Send a request and return the call's id."""
        tool, _, name = action.partition(".")
        wish = ToolRequest(
            request_id=request_id,
            tool=tool,
            action=name,
            params={"text": "hi"} if params is None else params,
            waits=True,
            **more,
        )
        accepted = self.run(tool_calls.receive, ref, wish, traceparent=traceparent)
        assert accepted.call_id is not None
        return accepted.call_id

    def look(self, node_id: str = NODE) -> list[Start]:
        """Do what is due, as a node does; return what it has to make."""
        starts: list[Start] = []
        for call_id in self.run(tool_calls.due, node_id):
            step = self.run(tool_runs.look_after, call_id, self.keeper(node_id))
            starts += [] if step.start is None else [step.start]
        return starts

    def end(self, call_id: str, data: Any = None, code: ToolCode | None = None) -> None:
        """Have a call come to something."""
        error = None if code is None else "it failed"
        outcome = Outcome(data=data, error=error, code=code)
        self.run(tool_runs.conclude, call_id, self.keeper(), outcome)

    def decide(self, call_id: str, *, approve: bool, reason: str | None = None) -> Row:
        """Let a person decide."""
        return self.run(approvals.decide, "ann", call_id, approve, reason)

    def call(self, call_id: str) -> Row:
        """Return a call as it is now."""
        return self.run(tool_calls.row, self.admin.tenant_id, call_id)

    def results(self, agent_id: str) -> list[dict[str, Any]]:
        """Return the results that an agent was told."""
        return self.told(agent_id, EventType.TOOL_RESULT)

    def told(self, agent_id: str, type_: EventType) -> list[dict[str, Any]]:
        """Return what an agent was told under one type."""
        return [one["payload"] for one in self.events_of(agent_id) if one["type"] == type_]

    def offering(self, agent_id: str, *offers: ToolOffer) -> SessionRef:
        """Connect an agent that offers tools."""
        return self.connect(agent_id, tools=list(offers))

    def answer(self, ref: SessionRef, call_id: str, **said: Any) -> None:
        """Have the agent of a session answer a call."""
        self.run(tool_calls.answer, ref, ToolAnswer(call_id=call_id, **said))


def from_file(*rules: Rule) -> Sequence[KnownRule]:
    """Return rules as settings give them."""
    return tuple(
        KnownRule(id=f"settings-{number}", rule=rule) for number, rule in enumerate(rules, start=1)
    )
