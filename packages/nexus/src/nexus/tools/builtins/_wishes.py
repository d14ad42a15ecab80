"""Where it is described what a built-in tool can do: a model for each action's parameters."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from nexus.domain.tool_catalogue import Action
from nexus.tools.provider import ToolError
from oblivion.protocol import ToolCode

Means = TypeVar("Means")


class Wish(BaseModel, Generic[Means]):
    """What an agent asks a built-in tool for; ``Means`` is what it is carried out with.

    A subclass is an action: its docstring is the description, its fields are the parameters.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    action: ClassVar[str]
    idempotent: ClassVar[bool] = False

    async def carry_out(self, means: Means) -> Any:
        """Do it, and return JSON.

        Raises:
            ToolError: it came to nothing.
        """
        raise NotImplementedError


class Repertoire(Generic[Means]):
    """All that a tool can do, by the names of its actions."""

    def __init__(self, tool: str, wishes: Sequence[type[Wish[Means]]]) -> None:
        self._wishes = {wish.action: wish for wish in wishes}
        self.actions = [_action(tool, wish) for wish in wishes]

    def wish(self, action: str, params: Mapping[str, Any]) -> Wish[Means]:
        """Return what is asked for.

        Raises:
            ToolError: there is no such action, or the parameters do not fit it.
        """
        kind = self._wishes.get(action)
        if kind is None:
            raise ToolError(f"there is no action {action!r}", ToolCode.UNKNOWN_ACTION)
        try:
            return kind.model_validate(params)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, problem["loc"])) or "params"
            said = problem["msg"].removeprefix("Value error, ")
            raise ToolError(f"{where}: {said}", ToolCode.INVALID_PARAMS) from None


def _action(tool: str, wish: type[Wish[Any]]) -> Action:
    schema = wish.model_json_schema()
    description = " ".join(str(schema.pop("description", "")).split())
    return Action(
        tool=tool,
        action=wish.action,
        description=description,
        input_schema=_untitled(schema),
        idempotent=wish.idempotent,
    )


def _untitled(schema: Any) -> Any:
    """Return a schema without the titles that pydantic makes of names."""
    if isinstance(schema, list):
        return [_untitled(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: value for name, value in schema.items() if not _is_title(name, value)}
    return {name: _untitled(value) for name, value in kept.items()}


def _is_title(name: str, value: Any) -> bool:
    return name == "title" and isinstance(value, str)
