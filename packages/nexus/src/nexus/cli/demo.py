"""Where the command `nexus demo` lives."""

from typing import Annotated

import typer

from nexus.cli.errors import Failed, Interrupted


def demo(
    agents: Annotated[int, typer.Option(min=1, max=8, help="How many agents share the work.")] = 2,
    ask: Annotated[
        bool, typer.Option("--ask", help="Answer the agents' questions yourself.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave it running afterwards, until Ctrl-C.")
    ] = False,
) -> None:
    """See it work: a fresh Nexus, agents as processes of their own, real reviews of this code."""
    from nexus.demo import DemoFailed, DemoInterrupted, Options, run

    try:
        run(Options(agents=agents, ask=ask, keep=keep))
    except DemoFailed as error:
        raise Failed(f"the demo failed: {error}") from error
    except DemoInterrupted:
        raise Interrupted("the demo was interrupted; no process is left") from None
