"""Where docstrings in the code's own notation become Markdown: roles turn into links.

``:class:`~oblivion.Limits``` is a link to ``oblivion.Limits``, ``:meth:`wait``` one to a method of
the class at hand; ``::`` before an indented block is what Markdown knows by the indentation.
"""

import re
from typing import Any

from griffe import Extension, Object

_ROLE = re.compile(r":(class|meth|func|exc):`(~?)([\w.]+)`")
_LITERAL = re.compile(r"^(.*?)\s*::$", re.MULTILINE)


class Roles(Extension):
    """Rewrites every docstring once it is loaded."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite one object's docstring."""
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)


def to_markdown(text: str) -> str:
    """Return a docstring with its roles as links."""
    return _LITERAL.sub(_introduction, _ROLE.sub(_link, text))


def _introduction(match: re.Match[str]) -> str:
    return f"{match[1]}:" if match[1] else ""


def _link(match: re.Match[str]) -> str:
    kind, short, target = match.groups()
    name = target.rpartition(".")[2] if short else target
    call = "()" if kind in {"meth", "func"} else ""
    full = target if target.startswith("oblivion.") else f"oblivion.{_owner(kind)}{target}"
    return f"[`{name}{call}`][{full}]"


def _owner(kind: str) -> str:
    return "OblivionClient." if kind == "meth" else ""
