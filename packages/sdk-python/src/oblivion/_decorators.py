"""Where the decorators live that make functions handlers."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from oblivion._agent import DISCONNECTED, Abilities
from oblivion._handlers import Handlers
from oblivion._offered import OfferedTools
from oblivion.protocol import (
    ConnectedPayload,
    ContextUpdatePayload,
    EventType,
    SlackMessagePayload,
    TaskAssignedPayload,
    TaskAvailablePayload,
    TaskCancelledPayload,
    ToolResultPayload,
    WakeUpPayload,
)

_Assigned = TypeVar("_Assigned", bound=Callable[[TaskAssignedPayload], object])
_Available = TypeVar("_Available", bound=Callable[[TaskAvailablePayload], object])
_Cancelled = TypeVar("_Cancelled", bound=Callable[[TaskCancelledPayload], object])
_Context = TypeVar("_Context", bound=Callable[[ContextUpdatePayload], object])
_SlackMessage = TypeVar("_SlackMessage", bound=Callable[[SlackMessagePayload], object])
_WakeUp = TypeVar("_WakeUp", bound=Callable[[WakeUpPayload], object])
_Tool = TypeVar("_Tool", bound=Callable[[ToolResultPayload], object])
_Connected = TypeVar(
    "_Connected", bound=Callable[[ConnectedPayload], object] | Callable[[], object]
)
_Function = TypeVar("_Function", bound=Callable[..., Any])
_Disconnected = TypeVar("_Disconnected", bound=Callable[[str], object] | Callable[[], object])


class HandlerDecorators:
    """The ``on_...`` decorators of the client.

    Each takes a function, async or plain, and returns it unchanged. Async handlers run in a task
    of their own, plain ones on a thread. There is one handler per event.

    Every decorator raises :class:`~oblivion.InvalidHandlerError` when the function is not
    callable or takes the wrong parameters, when the event has a handler already, and while the
    client is connected.
    """

    def __init__(self) -> None:
        self._abilities = Abilities(handlers=Handlers(), tools=OfferedTools())
        self._handlers = self._abilities.handlers

    def tool(
        self,
        tool: str,
        *,
        action: str,
        description: str | None = None,
        schema: Mapping[str, object] | None = None,
    ) -> Callable[[_Function], _Function]:
        """Offer a function to the other agents of this agent's groups, as an action of a tool.

        They call it with ``request_tool(tool, action, params)``, as far as rules of Nexus allow
        that. The function gets the parameters by their names, and returns what JSON can hold;
        one that raises is a result with that error. Async functions run in a task of their own,
        plain ones on a thread.

        Args:
            tool: the name of the tool, of letters, digits, ``_`` and ``-``.
            action: what the function does.
            description: what others are told of it; by default the function's docstring.
            schema: the JSON Schema of the parameters; by default it is made of the function's
                annotations, and parameters are turned into those types.

        Raises:
            InvalidHandlerError: the function cannot be called with named parameters, the action is
                offered already, or the client is connected.
        """

        def offer(function: _Function) -> _Function:
            self._abilities.tools.register((tool, action), function, description, schema)
            return function

        return offer

    def on_task_assigned(self, handler: _Assigned) -> _Assigned:
        """Call ``handler`` for each task that this agent holds from now on.

        A handler that returns completes the task, and what it returns becomes the result; one
        that raises fails the attempt. If it moved the task itself (``complete_task``,
        ``fail_task``, ``release_task``, ``block_task``), nothing is reported. It is cancelled
        when the task is cancelled or its lease lost.
        """
        self._handlers.register(EventType.TASK_ASSIGNED, handler, TaskAssignedPayload)
        return handler

    def on_task_available(self, handler: _Available) -> _Available:
        """Call ``handler`` for each task that waits for a claim; it decides on ``claim_task``.

        Without this handler the client claims the most urgent task whenever it has a free slot.
        """
        self._handlers.register(EventType.TASK_AVAILABLE, handler, TaskAvailablePayload)
        return handler

    def on_task_cancelled(self, handler: _Cancelled) -> _Cancelled:
        """Call ``handler`` when a task was taken away, after its own handler was cancelled."""
        self._handlers.register(EventType.TASK_CANCELLED, handler, TaskCancelledPayload)
        return handler

    def on_context_update(self, handler: _Context) -> _Context:
        """Call ``handler`` for each message in the thread of a held task, in order per task.

        The answer to :meth:`ask_human` goes to who asked, and not here.
        """
        self._handlers.register(EventType.CONTEXT_UPDATE, handler, ContextUpdatePayload)
        return handler

    def on_slack_message(self, handler: _SlackMessage) -> _SlackMessage:
        """Call ``handler`` for what people say in the Slack channels of this agent's groups.

        A hint: it is sent once, to the agents that are connected. What is said in the thread of a
        held task comes to ``on_context_update`` as well, and surely.
        """
        self._handlers.register(EventType.SLACK_MESSAGE, handler, SlackMessagePayload)
        return handler

    def on_wake_up(self, handler: _WakeUp) -> _WakeUp:
        """Call ``handler`` when somebody wants this agent's attention (``payload.reason``)."""
        self._handlers.register(EventType.WAKE_UP, handler, WakeUpPayload)
        return handler

    def on_tool_result(self, handler: _Tool) -> _Tool:
        """Call ``handler`` for each tool result, also of calls that ``request_tool`` awaits."""
        self._handlers.register(EventType.TOOL_RESULT, handler, ToolResultPayload)
        return handler

    def on_connected(self, handler: _Connected) -> _Connected:
        """Call ``handler`` after each connect and reconnect; it may take no parameter."""
        self._handlers.register(EventType.CONNECTED, handler, ConnectedPayload, bare=True)
        return handler

    def on_disconnected(self, handler: _Disconnected) -> _Disconnected:
        """Call ``handler`` with the reason after each loss; it may take no parameter."""
        self._handlers.register(DISCONNECTED, handler, str, bare=True)
        return handler
