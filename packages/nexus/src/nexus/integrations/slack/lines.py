"""Every line that the app itself says in Slack, in mrkdwn: the words are here and nowhere else."""

from collections.abc import Sequence

from nexus.integrations.slack.rendering import escape, neutral, person, shortened
from oblivion.protocol import TaskStatus

_LONGEST = 1000
_MOST_NAMES = 10


def _quoted(text: str) -> str:
    return escape(neutral(shortened(" ".join(text.split()), _LONGEST)))


# --- what was heard -------------------------------------------------------------------------------


def heard_offline(agents: Sequence[str]) -> str:
    """Say, in one line however many there are, that agents are told once they are back."""
    names = [person(name) for name in agents[:_MOST_NAMES]]
    if len(agents) > _MOST_NAMES:
        names.append(f"{len(agents) - _MOST_NAMES} more")
    who = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    rest = "is offline and will see this when it is back"
    if len(agents) > 1:
        rest = "are offline and will see this when they are back"
    return f":zzz: Heard: {who} {rest}."


def heard_waiting() -> str:
    """Say that nobody holds the task yet, and whoever will is going to read this."""
    return ":hourglass: Heard: this task waits for an agent, which will read this in the thread."


def heard_ended(status: str, agents: Sequence[str] = ()) -> str:
    """Say that the task has ended; ``agents`` are told of what was said all the same."""
    who = " and ".join(person(name) for name in agents)
    told = f"{who} is told, but may do nothing about it" if who else "nobody works on it"
    how = "Mention" if status == TaskStatus.DONE else "Press *Retry* above, or mention"
    return (
        f":checkered_flag: Heard, but this task is {_quoted(status).lower()}: {told}. "
        f"{how} the app in the channel for a new one."
    )


def heard_stopped() -> str:
    """Say that all agents are stopped."""
    return (
        ":octagonal_sign: Heard: all agents are stopped at the moment; this waits until they go on."
    )


# --- tasks ----------------------------------------------------------------------------------------


def nothing_asked() -> str:
    """Say that a mention without words makes no task."""
    return "What is to be done? Mention me again, with the task in the same message."


def no_project() -> str:
    """Say that this channel is no project's, so that no task can be made here."""
    return (
        "I make tasks in the channels of projects, and this is none of them. "
        "Most of their names begin with `oblivion-`."
    )


def refused(why: str) -> str:
    """Say why what somebody asked for was not done."""
    return f":warning: That was not done: {_quoted(why)}"


def not_allowed() -> str:
    """Say to whoever pressed a button that it is for members of the workspace."""
    return "Only full members of this workspace can do that."


def cancelled_by(who: str) -> str:
    """Say who cancelled a task."""
    return f":no_entry_sign: Cancelled by {person(who)}"


def retried_by(who: str) -> str:
    """Say who had a task retried."""
    return f":arrows_counterclockwise: Retried by {person(who)}"


def nobody_decided() -> str:
    """Say that a tool call waited for a person until its time was over, or nobody wanted it."""
    return ":hourglass: This waits no more: nobody decided in time, or its task has moved on."


def resumed_by(who: str) -> str:
    """Say who let an agent's messages be shown again."""
    return f":arrow_forward: Shown again, says {person(who)}"


# --- noise ----------------------------------------------------------------------------------------


def held_back(agent: str) -> str:
    """Say that an agent speaks too often for all of it to be shown here."""
    return (
        f":speaker: {person(agent)} says more than is shown here; "
        "all of it is in the task's thread in Nexus."
    )


def project_held_back(per_hour: int) -> str:
    """Say that a project had as many messages as an hour may have."""
    return (
        f":speaker: This hour had its {per_hour} messages; what agents say more is in the threads "
        "in Nexus. Their questions are shown."
    )


def paused(agent: str, why: str) -> str:
    """Say that an agent's messages are no longer shown, and why."""
    return f":mute: {person(agent)} is paused here because {_quoted(why)}"


# --- channels -------------------------------------------------------------------------------------


def topic(kind: str, slug: str) -> str:
    """Say what the channel of a group or project is for; the topic of a channel is one line."""
    if kind == "group":
        return f"The group {_quoted(slug)} and its agents."
    return f"Tasks of {_quoted(slug)}: mention the app with what is to be done."


def is_archived(name: str) -> str:
    """Say, where deliveries are shown, that people have archived a channel, and what to do."""
    return (
        f"its channel #{name} is archived; open it again in Slack, or choose another one "
        "with `nexus slack link`"
    )
