"""Where the code blocks of a page are read and run, as a reader would run them."""

import ast
import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

_FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class CodeBlock:
    """One fenced block: where it stands, its language and its text."""

    page: str
    line: int
    language: str
    info: str
    text: str

    @property
    def is_program(self) -> bool:
        """Whether the block is a whole program with its own loop."""
        return "asyncio.run(" in self.text or ".run()" in self.text

    def compiled(self) -> CodeType:
        """Return the block as code in which ``await`` may stand at the top."""
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        padded = "\n" * self.line + self.text
        code: CodeType = compile(padded, self.page, "exec", flags=flags)
        return code

    async def run(self, names: dict[str, Any]) -> dict[str, Any]:
        """Run the block with these names known and return all names it left."""
        result = eval(self.compiled(), names)
        if inspect.isawaitable(result):
            await result
        return names


def code_blocks(page: Path, language: str | None = None) -> list[CodeBlock]:
    """Return the blocks of a page in order."""
    text = page.read_text()
    return [
        CodeBlock(
            page=str(page),
            line=text[: match.start()].count("\n") + 1,
            language=match[1],
            info=match[2].strip(),
            text=match[3],
        )
        for match in _FENCE.finditer(text)
        if language in {None, match[1]}
    ]
