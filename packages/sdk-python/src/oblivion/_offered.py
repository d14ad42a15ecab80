"""Where functions become tools that other agents may call, after a look at whether they can."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import ArgsKwargs

from oblivion._checks import Checks
from oblivion._handlers import Handler
from oblivion._json import as_object, to_json
from oblivion.errors import InvalidArgument, InvalidHandlerError
from oblivion.protocol import ToolOffer

_CHECKS = Checks(wrong_type=InvalidHandlerError, wrong_value=InvalidHandlerError)


class OfferedTools:
    """The tools that one client offers, by tool and action."""

    def __init__(self) -> None:
        self._tools: dict[tuple[str, str], tuple[ToolOffer, Handler]] = {}
        self._frozen = False

    def register(
        self,
        names: tuple[object, object],
        function: Callable[..., Any],
        description: str | None,
        schema: Mapping[str, object] | None,
    ) -> None:
        """Keep ``function`` as what does an action of a tool.

        Raises:
            InvalidHandlerError: it cannot be called with named parameters, or cannot be described,
                the action is offered already, or the client is connected.
        """
        tool, action = _CHECKS.text("tool", names[0]), _CHECKS.text("action", names[1])
        if self._frozen:
            raise InvalidHandlerError(f"register the tool {tool}.{action} before connect()")
        if (tool, action) in self._tools:
            raise InvalidHandlerError(f"the tool {tool}.{action} is offered already")
        if not _is_function(function):
            raise InvalidHandlerError(f"the tool {tool}.{action} must be a function")
        call, own_schema = _described(f"{tool}.{action}", function, schema)
        offer = ToolOffer(
            tool=tool,
            action=action,
            description=_documented(function) if description is None else description,
            input_schema=own_schema,
        )
        is_async = inspect.iscoroutinefunction(function)
        self._tools[tool, action] = offer, Handler(call, is_async, takes_value=True)

    def offers(self) -> list[ToolOffer]:
        """Return what Nexus is told about the tools."""
        return [offer for offer, _ in self._tools.values()]

    def get(self, tool: str, action: str) -> Handler | None:
        """Return what does an action; it is called with the parameters, a dict."""
        found = self._tools.get((tool, action))
        return None if found is None else found[1]

    def freeze(self, frozen: bool) -> None:
        """Refuse (or accept) further tools: Nexus was told what this agent offers."""
        self._frozen = frozen


def _described(
    name: str, function: Callable[..., Any], schema: Mapping[str, object] | None
) -> tuple[Callable[[dict[str, Any]], Any], dict[str, Any]]:
    """Return how to call a function with a dict, and the JSON Schema of that."""
    if schema is not None:
        try:
            plain = as_object(to_json(f"the schema of {name}", schema))
        except InvalidArgument as error:
            raise InvalidHandlerError(str(error)) from None
        return lambda params: function(**params), plain
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(cast("Any", function))
        plain = adapter.json_schema()
    except (PydanticUserError, NameError) as error:
        problem = str(error).partition("\n")[0]
        raise InvalidHandlerError(
            f"the tool {name} cannot be described: {problem}; give its schema, or annotate its "
            "parameters with types that JSON can hold"
        ) from None
    if plain.get("type") != "object":
        raise InvalidHandlerError(f"the parameters of the tool {name} must all have names")
    return lambda params: adapter.validate_python(ArgsKwargs((), params)), plain


def _is_function(function: object) -> bool:
    return callable(function) and not inspect.isclass(function)


def _documented(function: Callable[..., Any]) -> str:
    return inspect.getdoc(function) or ""


def failure(error: BaseException) -> str:
    """Say what went wrong with a call, the way Python does; without values that were sent."""
    if isinstance(error, ValidationError):
        problems = error.errors(include_input=False, include_url=False)[:5]
        return "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in problems)
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return said.encode(errors="replace").decode().replace("\x00", "\\x00")[:2_000]
