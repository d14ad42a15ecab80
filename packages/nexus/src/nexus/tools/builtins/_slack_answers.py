"""Where it is put into words for an agent what Slack refused. Pure."""

from nexus.domain.slack_answers import Answer
from nexus.tools.builtins._outcomes import unknown
from nexus.tools.provider import ToolError
from oblivion.protocol import ToolCode

_SAID = {
    "channel_not_found": "Slack finds no such channel, or the app may not see it",
    "is_archived": "the channel is archived",
    "message_not_found": "Slack finds no such message",
    "not_in_channel": "the app is not in this channel; somebody there must invite it",
    "thread_not_found": "Slack finds no such thread",
}


def told(answer: Answer, method: str, *, writes: bool) -> ToolError:
    """Return what an agent is told; ``writes`` says that the call was to change something."""
    if answer.pause_s is not None:
        return ToolError(f"Slack's rate limit is reached; try again in {answer.pause_s} s")
    if answer.is_shut_out or answer.code == "missing_scope":
        said = (
            f"Slack does not take the token that Nexus has ({answer.code}); an admin must see to it"
        )
        return ToolError(said, ToolCode.TOOL_UNAVAILABLE)
    if answer.is_trouble:
        what = f"Slack is in trouble ({answer.code or answer.status})"
        return unknown(what) if writes else ToolError(f"{what}; try again later")
    return ToolError(_SAID.get(answer.code, f"Slack refused {method}: {answer.code[:100]}"))
