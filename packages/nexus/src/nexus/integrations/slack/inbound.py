"""Where what people do in Slack is done here: they speak, correct themselves, ask for work."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nexus.integrations.slack import boxes, heard, letters, reading
from nexus.integrations.slack.people import People
from nexus.integrations.slack.saying import App, Said
from nexus.integrations.worker import Record, Undeliverable, nothing
from nexus.services import deliveries, tasks, threads, views
from nexus.services import slack as places
from nexus.services.tasks import CreateTask, Origin
from nexus.services.threads import Author
from nexus.store.tx import Row, Tx

SOURCE = "slack"
_SAID = frozenset({None, "file_share", "thread_broadcast", "me_message", "bot_message"})
"""The subtypes of messages that somebody says something with."""

Event = Mapping[str, Any]


class Inbound:
    """Carries out the events of ``slack-in``."""

    def __init__(self, app: App, people: People, *, shared_channels: bool = False) -> None:
        self._app = app
        self._people = people
        self._shared_channels = shared_channels
        self._handlers: Mapping[str, Callable[[Row, Event], Awaitable[Record]]] = {
            "message": self._message,
            "app_mention": self._said,
            "channel_archive": self._archived,
            "channel_unarchive": self._unarchived,
            "channel_rename": self._renamed,
            "channel_deleted": self._gone,
        }

    async def __call__(self, row: Row) -> Record:
        """Carry out one event; what is none of ours ends without effect."""
        callback = row["payload"]
        event = callback.get("event")
        if not isinstance(event, Mapping):
            raise Undeliverable("it holds no event")
        if callback.get("is_ext_shared_channel") and not self._shared_channels:
            return nothing
        handle = self._handlers.get(str(event.get("type")))
        try:
            return nothing if handle is None else await handle(row, event)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise Undeliverable(f"a field is missing or has another shape: {error}") from error

    async def _message(self, row: Row, event: Event) -> Record:
        subtype = event.get("subtype")
        gone = letters.what_is_gone(event)
        if gone is not None:
            return _taken_back(reading.name_in(event["channel"]), reading.place_in(gone))
        if subtype == "message_changed":
            return await self._changed(row, event)
        if subtype == "message_deleted":
            raise KeyError("deleted_ts")
        return await self._said(row, event) if subtype in _SAID else nothing

    def _is_ours(self, row: Row, message: Event) -> bool:
        """Say whether we said it ourselves: our own posts come back as events."""
        app_id = row["payload"].get("api_app_id")
        return message.get("bot_id") == self._app.bot_id or (
            app_id is not None and message.get("app_id") == app_id
        )

    async def _said(self, row: Row, event: Event) -> Record:
        if self._is_ours(row, event) or event.get("user") == self._app.bot_user_id:
            return nothing
        said = await self._read(row["tenant_id"], reading.name_in(event["channel"]), event)
        # A mention comes as a message, too, which is the one that others hear of.
        is_first = event["type"] == "message"
        if event.get("channel_type") == "im":
            return lambda tx: heard.without_project(tx, said)
        return lambda tx: _hear(tx, said, tell=is_first)

    async def _read(self, tenant_id: str, channel_id: str, message: Event) -> Said:
        raw = reading.words(message)
        author = await self._author(message)
        names = await self._people.names(reading.user_ids(raw))
        ts = reading.place_in(message["ts"])
        thread_ts = reading.place_in(message.get("thread_ts") or ts)
        said = [reading.plain(raw, names, self._app.bot_user_id), reading.files(message)]
        return Said(
            tenant_id=tenant_id,
            channel_id=channel_id,
            ts=ts,
            thread_ts=None if thread_ts == ts else thread_ts,
            author=author,
            text="\n".join(filter(None, said)) or "(without words)",
            for_app=reading.mentions_app(str(message.get("text")), self._app.bot_user_id),
            url=f"{self._app.url}archives/{channel_id}/p{ts.replace('.', '')}",
        )

    async def _author(self, message: Event) -> Author:
        """Return who says it; bots are no people, whatever they are called."""
        if message.get("bot_id"):
            bot_id, profile = reading.name_in(message["bot_id"]), message.get("bot_profile") or {}
            name = message.get("username") or profile.get("name") or bot_id
            return Author(id=f"slack:{bot_id}", name=str(name), is_human=False)
        user = await self._people.who(reading.name_in(message["user"]))
        return Author(id=f"slack:{user['id']}", name=user["name"], is_human=user["is_human"])

    async def _changed(self, row: Row, event: Event) -> Record:
        """Take over an edit; Slack tells of previews and replies, too, which change no word."""
        message, before = event["message"], event.get("previous_message") or {}
        if self._is_ours(row, message) or message.get("text") == before.get("text"):
            return nothing
        said = await self._read(row["tenant_id"], reading.name_in(event["channel"]), message)
        return lambda tx: _correct(tx, said)

    async def _archived(self, _row: Row, event: Event) -> Record:
        channel_id = reading.name_in(event["channel"])
        return lambda tx: places.note_archived(tx, channel_id)

    async def _unarchived(self, row: Row, event: Event) -> Record:
        channel_id, number = reading.name_in(event["channel"]), row["id"]
        return lambda tx: _open_again(tx, channel_id, number)

    async def _renamed(self, _row: Row, event: Event) -> Record:
        channel_id, name = reading.name_in(event["channel"]["id"]), str(event["channel"]["name"])
        return lambda tx: places.note_renamed(tx, channel_id, name)

    async def _gone(self, _row: Row, event: Event) -> Record:
        channel_id = reading.name_in(event["channel"])
        return lambda tx: places.forget_channel(tx, channel_id)


def _hear(tx: Tx, said: Said, *, tell: bool = False) -> None:
    """Take a message in, once: Slack tells of a mention twice, and of anything more often."""
    if places.placed(tx, said.channel_id, said.ts) is not None or _task_made_of(tx, said):
        return
    if deliveries.knows(tx, boxes.IN, letters.name_of_deletion(said.channel_id, said.ts)):
        return
    task = places.task_of(tx, said.channel_id, said.root_ts)
    if task is not None:
        _speak(tx, said, task)
        return
    owner = places.owner_of(tx, said.channel_id)
    if owner is None:
        if said.for_app and said.author.is_human:
            heard.without_project(tx, said)
        return
    if tell:
        heard.hint(tx, said, heard.place_of(tx, owner))
    if said.for_app and said.author.is_human:
        _ask_for_work(tx, said, owner)


def _task_made_of(tx: Tx, said: Said) -> Row | None:
    return tasks.of_source(tx, said.tenant_id, SOURCE, said.name)


def _speak(tx: Tx, said: Said, task: Row) -> None:
    posted = threads.post(tx, task, said.author, said.text)
    places.place(tx, said.channel_id, said.ts, posted.id, ours=False)
    heard.in_thread(tx, said, task, posted.woken)
    heard.hint(tx, said, task)


def _ask_for_work(tx: Tx, said: Said, owner: Row) -> None:
    """Make a task of a mention, whose thread is the mention's."""
    project_id = heard.project_for(tx, owner)
    title, description = reading.title_and_description(said.text)
    if project_id is None:
        heard.without_project(tx, said)
    elif not title:
        heard.without_words(tx, said)
    else:
        wish = CreateTask(project_id=project_id, title=title, description=description)
        origin = Origin(source=SOURCE, source_id=said.name, source_url=said.url)
        task = tasks.create(tx, said.principal, wish, origin)
        places.open_thread(tx, task.id, said.channel_id, said.root_ts, None)
        heard.asked(tx, said, views.task_row(tx, task.id))


def _correct(tx: Tx, said: Said) -> None:
    """Take over what somebody wrote anew; a mention that was added counts as one."""
    known = places.placed(tx, said.channel_id, said.ts)
    if known is not None:
        if not known["ours"]:
            task = places.task_saying(tx, known["message_id"])
            threads.edit(tx, task, known["message_id"], said.text)
        return
    made = _task_made_of(tx, said)
    if made is None:
        _hear(tx, said)
        return
    title, description = reading.title_and_description(said.text)
    heard.reworded(tx, said, made, title or made["title"], description)


def _open_again(tx: Tx, channel_id: str, number: int) -> None:
    """Note that a channel is open again, have the app go in, and show what changed meanwhile.

    Archiving had thrown the app out.
    """
    stale = places.stale_tasks(tx, channel_id, boxes.CARD)
    places.note_archived(tx, channel_id, archived=False)
    owner = places.owner_of(tx, channel_id)
    if owner is not None:
        boxes.speak(
            tx,
            owner["tenant_id"],
            key=f"{owner['owner_id']}:again:{number}",
            lane=owner["owner_id"],
            kind=boxes.CHANNEL,
            owner_id=owner["owner_id"],
            again=True,
        )
    for task in stale:
        boxes.show(tx, task, f"again:{number}")


def _taken_back(channel_id: str, ts: str) -> Record:
    return lambda tx: _take_back(tx, channel_id, ts)


def _take_back(tx: Tx, channel_id: str, ts: str) -> None:
    """Take over that a message was deleted; where it was a root of ours, a new one is posted."""
    known = places.placed(tx, channel_id, ts)
    if known is not None:
        if not known["ours"]:
            threads.delete(tx, places.task_saying(tx, known["message_id"]), known["message_id"])
        return
    task = places.task_of(tx, channel_id, ts)
    if task is not None and task["slack_card_ts"] == ts:
        places.close_thread(tx, task)
        boxes.begin_anew(tx, task, ts)
