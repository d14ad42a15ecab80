"""Where the habits of commands live: camelCase JSON, nothing unknown, bounded text."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from nexus.domain.strict import Strict

MAX_TEXT = 100_000


@dataclass(frozen=True, kw_only=True)
class Word:
    """The rule of a short text: ``pattern`` for machines, ``says`` for people."""

    pattern: str
    says: str
    max_length: int = 64

    def check(self, text: str) -> str:
        """Return the text if it follows the rule; a ValueError says what the rule is."""
        if len(text) > self.max_length or re.fullmatch(self.pattern, text) is None:
            raise ValueError(f"must be {self.says}; at most {self.max_length} characters")
        return text

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        rule = {"pattern": f"^{self.pattern}$", "maxLength": self.max_length}
        return {**handler(schema), **rule}


def _no_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not contain NUL characters")
    return text


Text = Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(_no_nul)]
"""Free text of at most 100,000 characters."""

Words = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_TEXT), AfterValidator(_no_nul)
]
"""What somebody says: 1 to 100,000 characters."""

Ref = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_no_nul)]
"""What names something that is there: an id, a slug or a client id."""

Line = Annotated[
    str,
    StringConstraints(min_length=1, max_length=500, strip_whitespace=True),
    AfterValidator(_no_nul),
]
"""A name or title: 1 to 500 characters."""

Slug = Annotated[
    str,
    Word(
        pattern=r"[a-z0-9]+(-[a-z0-9]+)*",
        says="lower-case letters, digits and single dashes, such as my-team",
    ),
]
"""Lower-case letters, digits and single dashes."""

MemberRole = Annotated[
    str,
    Word(
        pattern=r"[a-z0-9]+(-[a-z0-9]+)*",
        says="lower-case letters, digits and single dashes, such as lead",
        max_length=16,
    ),
]
"""What an agent is in a group: a slug of at most 16 characters, which is what is kept of it."""

Tag = Annotated[
    str, Word(pattern=r"[A-Za-z0-9_-]+", says="letters, digits, '-' and '_', such as backend")
]
"""What follows the ``@`` in a description: letters, digits, ``-`` and ``_``."""

ClientId = Annotated[
    str,
    Word(
        pattern=r"[A-Za-z0-9][A-Za-z0-9._-]*",
        says="letters, digits, '.', '_' and '-', beginning with a letter or digit",
        max_length=128,
    ),
]
"""Letters, digits, ``.``, ``_`` and ``-``, starting with a letter or digit."""

Capability = Annotated[
    str,
    Word(
        pattern=r"[A-Za-z0-9][A-Za-z0-9_.:/+-]*",
        says="one word of letters, digits and '_', '.', ':', '/', '+', '-', such as python",
    ),
]
"""What an agent can do, one word, e.g. ``python`` or ``code-review``."""


def _canonical(words: list[str]) -> list[str]:
    return sorted(set(words))


Capabilities = Annotated[list[Capability], Field(max_length=64), AfterValidator(_canonical)]
"""Capabilities in order, each once, so that equal sets are equal values."""

Metadata = Annotated[dict[str, Any], Field(max_length=64)]


class Command(Strict):
    """A wish to change something; a field that does not exist is refused, not ignored."""

    def changes(self) -> dict[str, Any]:
        """Return the fields that the caller did set, by column name."""
        return self.model_dump(exclude_unset=True)


class Edit(Command):
    """A change of what is there: a field left out stays, null empties one that ``may_be_empty``."""

    may_be_empty: ClassVar[frozenset[str]] = frozenset()

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_null(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None and info.field_name not in cls.may_be_empty:
            raise ValueError("must not be null; leave it out to keep what is there")
        return value
