"""Where text is made fit for Slack: escaped, without calls to everybody, within its bounds."""

import re
from bisect import bisect_right
from itertools import accumulate

CUT = "…"
"""Says that there was more."""

GAP = "\u200b"
"""A space without width: people do not see it, and Slack reads no name over it."""

_CALLS = "channel|here|everyone|group"
_CALL = re.compile(rf"<[!@]({_CALLS})(?:\|[^<>]*)?>", re.IGNORECASE)
_TEAM = re.compile(r"<!subteam\^([^<>|]*)(?:\|@?([^<>]*))?>", re.IGNORECASE)
_BROKEN = re.compile(rf"<(?=[!@](?:{_CALLS})|!subteam\^)", re.IGNORECASE)
_PLAIN = re.compile(r"(?<![\w@])@(?=(?:channel|here|everyone)\b)", re.IGNORECASE)
_USER = re.compile(r"<@[UW][A-Z0-9]+>")
_ADDRESS = re.compile(r"https?://[^\s<>|]+")
_LONGEST_URL = 1500
_SIZES = {"&": len("&amp;"), "<": len("&lt;"), ">": len("&gt;")}


def escape(text: str) -> str:
    """Return text as Slack's mrkdwn shows it literally.

    Only these three are escaped: https://docs.slack.dev/messaging/formatting-message-text
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def neutral(text: str) -> str:
    """Return text that calls no crowd: ``<!here>`` becomes an ``@here`` that is only read."""
    text = _CALL.sub(rf"@{GAP}\1", text)
    text = _TEAM.sub(lambda team: f"@{GAP}{team[2] or team[1]}", text)
    return _PLAIN.sub(f"@{GAP}", _BROKEN.sub(f"<{GAP}", text))


def shortened(text: str, length: int) -> str:
    """Return text of at most ``length`` characters; a sign at its end says that there was more."""
    return text if len(text) <= length else text[: length - len(CUT)].rstrip() + CUT


def fitted(text: str, length: int) -> str:
    """Return text, neutral and escaped, of at most ``length`` characters, never half an escape."""
    calm = neutral(text)
    ends = list(accumulate(_SIZES.get(character, 1) for character in calm))
    if not ends or ends[-1] <= length:
        return escape(calm)
    return escape(calm[: bisect_right(ends, length - len(CUT))].rstrip()) + CUT


def one_line(text: str) -> str:
    """Return text with its line breaks and runs of spaces as single spaces."""
    return " ".join(text.split())


def link(url: str | None, label: str) -> str:
    """Return a label, neutral and escaped, that leads to a web address if there is one."""
    shown = fitted(one_line(label), 1000)
    if url is None or len(url) > _LONGEST_URL or not _ADDRESS.fullmatch(url):
        return shown
    return f"<{escape(url)}|{shown}>"


def person(who: str) -> str:
    """Return somebody's name, neutral and escaped; a mention such as ``<@U024BE7LH>`` stays one."""
    return who if _USER.fullmatch(who) else fitted(one_line(who), 200)


_FENCE = re.compile(r"^ {0,3}(?:`{3,}|~{3,})[^\n]*\n?", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\((\S+?)\)")
_HEADING = re.compile(r"^ {0,3}#{1,6} +", re.MULTILINE)
_STRONG = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")


def readable(markdown: str) -> str:
    """Return markdown without what is only there for its looks."""
    text = _HEADING.sub("", _FENCE.sub("", markdown))
    return _STRONG.sub(r"\2", _LINK.sub(r"\1 (\2)", text)).strip()
