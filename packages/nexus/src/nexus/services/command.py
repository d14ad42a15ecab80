"""Where the habits of commands live: camelCase JSON, nothing unknown, bounded text."""

from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic.alias_generators import to_camel

MAX_TEXT = 100_000


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

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
"""Lower-case letters, digits and single dashes."""

Tag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$", max_length=64)]
"""What follows the ``@`` in a description: letters, digits, ``-`` and ``_``."""

ClientId = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128)
]
"""Letters, digits, ``.``, ``_`` and ``-``, starting with a letter or digit."""

Capability = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.:/+-]*$", max_length=64)]
"""What an agent can do, one word, e.g. ``python`` or ``code-review``."""

Capabilities = Annotated[list[Capability], Field(max_length=64)]
Metadata = Annotated[dict[str, Any], Field(max_length=64)]


class Command(BaseModel):
    """A wish to change something; a field that does not exist is refused, not ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
    )

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
