"""Where docstrings become pages: roles turn into links, the fields of values into tables.

``:class:`~oblivion.Limits``` becomes a link to ``oblivion.Limits``, ``:meth:`wait``` one to a
method of the client. A ``::`` before an indented block goes: Markdown knows it by the indentation.
"""

import re
from collections.abc import Iterator
from typing import Any

from griffe import Attribute, Class, Docstring, Extension, Module, Object

_ROLE = re.compile(r":(class|meth|func|exc):`(~?)([\w.]+)`")
_LITERAL = re.compile(r"^([^\n]*?)[ \t]*::$", re.MULTILINE)
_VALUES = frozenset({"WireModel", "StrEnum"})


class Docstrings(Extension):
    """Rewrites docstrings once the code is loaded."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite one object's docstring."""
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Add their fields to the docstrings of values, inherited ones included."""
        values = [found for found in classes_of(pkg) if bases_of(found) & _VALUES]
        for found in values:
            table = "\n".join(row(field) for field in fields_of(found).values())
            said = found.docstring.value if found.docstring is not None else ""
            found.docstring = Docstring(f"{said}\n\nAttributes:\n{table}", parent=found)


def to_markdown(text: str) -> str:
    """Return a docstring with its roles as links."""
    return _LITERAL.sub(_introduction, _ROLE.sub(_link, text))


def _introduction(match: re.Match[str]) -> str:
    return f"{match[1]}:" if match[1] else ""


def _link(match: re.Match[str]) -> str:
    kind, short, target = match.groups()
    name = target.rpartition(".")[2] if short else target
    call = "()" if kind in {"meth", "func"} else ""
    owner = "OblivionClient." if kind == "meth" else ""
    full = target if target.startswith("oblivion.") else f"oblivion.{owner}{target}"
    return f"[`{name}{call}`][{full}]"


def classes_of(module: Module) -> Iterator[Class]:
    """Yield the classes that are defined in a module and below."""
    for member in module.members.values():
        if isinstance(member, Class):
            yield member
        elif isinstance(member, Module):
            yield from classes_of(member)


def bases_of(value: Class) -> set[str]:
    """Return the names of the classes that a class inherits from, however far away."""
    named = {str(base).rpartition(".")[2] for base in value.bases}
    return named | {name for base in value.mro() for name in bases_of(base)}


def fields_of(value: Class) -> dict[str, Attribute]:
    """Return the fields of a class, inherited ones first."""
    return {
        name: member
        for owner in [*reversed(value.mro()), value]
        for name, member in owner.members.items()
        if isinstance(member, Attribute) and not name.startswith(("_", "model_config"))
    }


def row(field: Attribute) -> str:
    """Return a field as the docstring's section ``Attributes`` lists it."""
    said = " ".join(field.docstring.value.split()) if field.docstring is not None else ""
    if field.annotation is None:
        return f"    {field.name}: `{field.value}` {said}"
    default = "required" if field.value is None else f"default `{default_of(str(field.value))}`"
    about = "; ".join(part for part in (default, said.rstrip(".")) if part)
    return f"    {field.name} ({field.annotation}): {about}"


def default_of(value: str) -> str:
    """Return the default behind a pydantic ``Field``, or the plain one."""
    made = re.search(r"default(?:_factory)?=([\w\[\]]+)", value)
    if made is None:
        return value if not value.startswith("Field(") else "required"
    return {"list": "[]", "dict": "{}"}.get(made[1].partition("[")[0], made[1])
