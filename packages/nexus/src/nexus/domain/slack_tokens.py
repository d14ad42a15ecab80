"""Where it is known how each of Slack's tokens begins, and where people find the right one."""

BEGINNINGS = {
    "SLACK_BOT_TOKEN": ("xoxb-", "xoxe.xoxb-"),
    "SLACK_APP_TOKEN": ("xapp-",),
}
"""How a token begins, by the setting that it is for; the first is the usual."""

WHERE = {
    "SLACK_BOT_TOKEN": (
        "copy the Bot User OAuth Token from *OAuth & Permissions* of the app; "
        "`nexus slack manifest` makes one"
    ),
    "SLACK_APP_TOKEN": ("make an app-level token with connections:write under *Basic Information*"),
}
"""Where people find each."""


def mistake(setting: str, token: str | None) -> str | None:
    """Return what is wrong with a token that is there, without showing it; None where it may be.

    A token of a person (``xoxp-``) is good for other things, and none of them is what Nexus does.
    """
    if token is None or token.startswith(BEGINNINGS[setting]):
        return None
    return f"does not begin with {BEGINNINGS[setting][0]}"
