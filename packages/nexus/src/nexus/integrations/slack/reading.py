"""Where Slack's markup becomes plain text, and what it mentions is found.

The markup: https://docs.slack.dev/messaging/formatting-message-text#retrieving-messages
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

APP = "oblivion"
"""How the app itself is mentioned in plain text."""

MAX_TITLE = 500

_TOKEN = re.compile(r"<([^<>]*)>")
_USER = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_MENTION = re.compile(rf"[ \t]*(?<![\w@/.])@{APP}\b(?![.-]\w)[:,]?[ \t]*", re.IGNORECASE)
_TO_EVERYBODY = frozenset({"here", "channel", "everyone", "group"})


_PLACE = re.compile(r"[0-9]{1,12}\.[0-9]{1,12}")
_NAME = re.compile(r"[A-Z][A-Z0-9]{1,30}")
_MOST_OF_NAME = 200


def place_in(value: object) -> str:
    """Return the place of a message in its channel, such as ``1764000000.000123``.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, str) or not _PLACE.fullmatch(value):
        raise ValueError(f"{str(value)[:40]!r} is no place of a message")
    return value


def name_in(value: object) -> str:
    """Return what Slack calls a channel, a user or a bot, such as ``C024BE91L``.

    Raises:
        ValueError: nothing is called so.
    """
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(f"{str(value)[:40]!r} is no name of a channel, a user or a bot")
    return value


def words(message: Mapping[str, Any]) -> str:
    """Return what a message says in Slack's markup, with what it hands on of others.

    Programs often say all that they say in attachments; of people's messages those are previews.
    """
    said = _text(message.get("text"))
    attached = [one for one in _listed(message, "attachments") if one.get("is_share") or not said]
    handed_on = [_text(one.get("text")) or _text(one.get("fallback")) for one in attached]
    return "\n".join(filter(None, [said, *handed_on]))


def files(message: Mapping[str, Any]) -> str:
    """Return the names of a message's files as people read them; nothing where it has none."""
    names = [_text(one.get("name")) or "without a name" for one in _listed(message, "files")]
    shown = ", ".join(name[:_MOST_OF_NAME] for name in names)
    return shown and f"({'file' if len(names) == 1 else 'files'}: {_UNSTORABLE.sub('', shown)})"


def _listed(message: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    listed = message.get(name)
    yield from (one for one in listed or () if isinstance(one, Mapping))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def plain(text: str, names: Mapping[str, str], bot_user_id: str) -> str:
    """Return what a message says as people read it; ``names`` are those of user ids.

    The app itself is ``@oblivion``, whoever is not in ``names`` is called by the id. What is no
    markup stays as it is.
    """
    known = {**names, bot_user_id: APP}
    pieces = []
    end = 0
    for token in _TOKEN.finditer(text):
        pieces += [_unescape(text[end : token.start()]), _read(token, known)]
        end = token.end()
    return _UNSTORABLE.sub("\ufffd", "".join([*pieces, _unescape(text[end:])]))


def user_ids(text: str) -> tuple[str, ...]:
    """Return the ids of the users that a message mentions, each once, in order."""
    return tuple(dict.fromkeys(_USER.findall(text)))


def mentions_app(text: str, bot_user_id: str) -> bool:
    """Say whether a message mentions the app."""
    return bot_user_id in user_ids(text)


def title_and_description(text: str) -> tuple[str, str]:
    """Return the title and description of the task that a plain text asks for.

    The description is all of it but the mention of the app, the title its first line, at most 500
    characters of it. Both are empty when nothing else is said.
    """
    said = _MENTION.sub(" ", text, count=1).strip()
    title = " ".join(said.partition("\n")[0].split())
    return (title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1].rstrip() + "…"), said


def _unescape(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _read(token: re.Match[str], names: Mapping[str, str]) -> str:
    target, _, label = token[1].partition("|")
    kind, name, label = target[:1], target[1:], _unescape(label)
    if kind == "@" and name:
        return "@" + (names.get(name) or label.removeprefix("@") or name)
    if kind == "#" and name:
        return "#" + (label.removeprefix("#") or name)
    if kind == "!" and name:
        return _special(name, label)
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", target):
        return _link(_unescape(target), label)
    return _unescape(token[0])


def _special(name: str, label: str) -> str:
    if name.lower() in _TO_EVERYBODY:
        return f"@{name.lower()}"
    command, _, rest = name.partition("^")
    if command == "subteam":
        return "@" + (label.removeprefix("@") or rest)
    return label or command


def _link(url: str, label: str) -> str:
    """Return a link as text; where the label is what the address says anyway, the label alone."""
    if not label or label == url:
        return url
    address = re.sub(r"^[a-zA-Z][a-zA-Z0-9+.-]*:(//)?", "", url)
    return label if address.rstrip("/") == label.rstrip("/") else f"{label} ({url})"
