"""Where it is said what nobody knows: whether a request that was lost had its effect."""

from nexus.tools.provider import ToolError
from oblivion.protocol import ToolCode


def unknown(what: str) -> ToolError:
    """Return what is told when it is not known whether a request had its effect."""
    said = f"{what}; whether it had its effect is not known, so look before asking again"
    return ToolError(said, ToolCode.OUTCOME_UNKNOWN)
