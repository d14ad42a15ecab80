"""Where the options live that say who an agent is, for whoever makes one or asks to be one."""

from typing import Annotated

import typer

NameOption = Annotated[
    str | None, typer.Option("--name", help="What people call it; else the client id.")
]
DescriptionOption = Annotated[str, typer.Option("--description", help="What it is good for.")]
EmailOption = Annotated[str | None, typer.Option("--email", help="Whom to ask about it.")]
CapabilityOption = Annotated[
    list[str] | None, typer.Option("--capability", help="What it can do; may be repeated.")
]
