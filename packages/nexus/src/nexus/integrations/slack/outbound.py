"""Where what Slack should show is shown there: one handler for each kind of delivery."""

from collections.abc import Awaitable, Callable, Mapping

from nexus.domain.slack_marks import Spot
from nexus.integrations.slack import boxes, channels, showing
from nexus.integrations.slack.asking import Asking
from nexus.integrations.slack.client import Refused, SlackApi, tolerated
from nexus.integrations.slack.posting import Poster, in_doubt_since
from nexus.integrations.slack.rendering import Part
from nexus.integrations.worker import Postponed, Record, nothing
from nexus.services import slack as places
from nexus.services.platform import Platform
from nexus.store.tx import Row, Tx

_GONE = frozenset({"thread_not_found", "message_not_found", "cannot_reply_to_message"})
_IS_ARCHIVED = frozenset({"is_archived", "channel_is_archived"})
_DONE_ALREADY = frozenset({"already_reacted", "message_not_found", "thread_locked"})


class Outbound:
    """Carries out the deliveries of ``slack-out``, each as far as it still makes sense.

    A delivery says what is to be shown, not how: it is read from the store when its turn comes, so
    that Slack shows things as they are then.
    """

    def __init__(self, platform: Platform, api: SlackApi, public_url: str | None) -> None:
        self._store = platform.store
        self._api = api
        self._poster = Poster(api)
        self._channels = channels.Channels(platform.store, api)
        self._public_url = public_url
        asking = Asking(self._store, self._poster, self._channels, self._thread, public_url)
        self._handlers: Mapping[str, Callable[[Row], Awaitable[Record]]] = {
            boxes.CHANNEL: self._open_channel,
            boxes.TOPIC: self._set_topic,
            boxes.CLOSED: self._close_channel,
            boxes.CARD: self._show_card,
            boxes.MESSAGE: self._show_message,
            boxes.CHANGED: self._change_message,
            boxes.APPROVAL: asking.ask,
            boxes.DECIDED: asking.conclude,
            boxes.LINE: self._say_line,
            boxes.WHISPER: self._whisper,
            boxes.HEARD: self._react,
            boxes.CHOSEN: self._show_choice,
        }

    async def __call__(self, row: Row) -> Record:
        """Carry out one delivery."""
        return await self._handlers[row["kind"]](row)

    async def _open_channel(self, row: Row) -> Record:
        channel_id = await self._channels.of(row["payload"]["owner_id"])
        if row["payload"].get("again"):
            await self._api.call("conversations_join", channel=channel_id)
        return nothing

    async def _set_topic(self, row: Row) -> Record:
        said = row["payload"]
        await self._api.call(
            "conversations_setTopic", channel=said["channel_id"], topic=said["text"]
        )
        return nothing

    async def _close_channel(self, row: Row) -> Record:
        return await self._channels.close(row["payload"]["owner_id"])

    # --- the card of a task

    async def _show_card(self, row: Row) -> Record:
        task = await self._store.read(showing.task, row["task_id"])
        if task is None:
            return nothing
        if task["slack_card_ts"] is None and row["lane"] != boxes.lane_of(task):
            return lambda tx: boxes.begin_anew(tx, task, row["key"])
        shown = self._card(task)
        spot = await self._spot(task)
        if task["slack_card_ts"] is None:
            return await self._post_card(row, task, spot, shown)
        try:
            await self._poster.update(spot.channel_id, task["slack_card_ts"], shown)
        except Refused as refusal:
            if refusal.code != "message_not_found":
                return await self._repaired(refusal, task, spot)
            await self._store.write(places.lose_card, task)
            raise Postponed("its card was deleted", after_ms=0) from refusal
        return nothing

    async def _post_card(self, row: Row, task: Row, spot: Spot, shown: Part) -> Record:
        """Post the card, unless any delivery about the task may have done so already."""
        since = await self._store.read(places.in_doubt_since, row)
        try:
            ts = await self._poster.post(spot, shown, name=f"card:{task['id']}", since_ms=since)
        except Refused as refusal:
            return await self._repaired(refusal, task, spot)
        root = spot.thread_ts or ts
        return lambda tx: places.open_thread(tx, task["id"], spot.channel_id, root, ts)

    async def _spot(self, task: Row) -> Spot:
        """Return where a task is talked about: its thread, else the channel of its project."""
        if task["slack_thread_ts"] is not None:
            return Spot(channel_id=task["slack_channel_id"], thread_ts=task["slack_thread_ts"])
        return Spot(channel_id=await self._channels.of(task["project_id"]))

    async def _repaired(self, refusal: Refused, task: Row, spot: Spot) -> Record:
        """Mend what a refusal says is gone, and have the delivery tried again at once.

        Raises:
            Postponed: it is mended.
            Undeliverable: people have archived the channel, which is theirs to open again.
            Refused: it cannot be.
        """
        if refusal.code in _GONE:
            await self._store.write(places.close_thread, task)
        elif refusal.code == "channel_not_found":
            await self._store.write(channels.lose, task, spot.channel_id)
        elif refusal.code in _IS_ARCHIVED:
            if not await self._store.write(channels.leave, task, spot.channel_id):
                await self._channels.of(task["project_id"])
        elif refusal.code == "not_in_channel":
            await self._api.call("conversations_join", channel=spot.channel_id)
        else:
            raise refusal
        raise Postponed(str(refusal), after_ms=0) from refusal

    # --- the messages of its thread

    async def _show_message(self, row: Row) -> Record:
        said = await self._store.read(showing.message, row["payload"]["message_id"])
        if said is None or said["deleted_at"] is not None:
            return nothing
        task = await self._store.read(showing.task, said["task_id"])
        if task is None:
            return nothing
        spot = await self._thread(row, task)
        parts = showing.parts(said)
        number = len(await self._store.read(places.places_of, said["id"]))
        if number >= len(parts):
            return nothing
        try:
            ts = await self._poster.post(
                spot,
                parts[number],
                name=f"message:{said['id']}:{number}",
                since_ms=in_doubt_since(row),
                face=showing.face(said),
                broadcast=row["payload"].get("broadcast", False) and number == 0,
            )
        except Refused as refusal:
            return await self._repaired(refusal, task, spot)
        return await self._go_on(said, spot, ts, last=number + 1 == len(parts))

    async def _thread(self, row: Row, task: Row) -> Spot:
        """Return the thread of a task; where there is none its root comes first.

        Raises:
            Postponed: the root was posted; the channel takes another message in a while.
        """
        if task["slack_thread_ts"] is not None:
            return await self._spot(task)
        record = await self._post_card(row, task, await self._spot(task), self._card(task))
        await self._store.write(record)
        raise Postponed("its thread was just begun", after_ms=boxes.GAP_MS, counts=False)

    def _card(self, task: Row) -> Part:
        return showing.card(task, self._public_url)

    async def _go_on(self, said: Row, spot: Spot, ts: str, *, last: bool) -> Record:
        """Record where a part stands; a long message goes on with its next part."""

        def record(tx: Tx) -> None:
            places.place(tx, spot.channel_id, ts, said["id"], ours=True)

        if last:
            return record
        await self._store.write(record)
        raise Postponed("a long message goes on", after_ms=boxes.GAP_MS, counts=False)

    async def _change_message(self, row: Row) -> Record:
        said = await self._store.read(showing.message, row["payload"]["message_id"])
        if said is None:
            return nothing
        ours = await self._store.read(places.ours, said["id"])
        parts = [] if said["deleted_at"] is not None else showing.parts(said)
        for place, part in zip(ours, parts, strict=False):
            await self._poster.update(place["channel_id"], place["ts"], part)
        for place in ours[len(parts) :]:
            await self._poster.delete(place["channel_id"], place["ts"])
        if not ours or len(ours) >= len(parts):
            return nothing
        return await self._show_message(row)  # it became longer: what is over follows

    # --- what the app itself says and does

    async def _say_line(self, row: Row) -> Record:
        said = row["payload"]
        spot = await self._place_of(row)
        if spot is not None:
            part = Part(text=said["text"], blocks=said.get("blocks", []))
            since = in_doubt_since(row)
            await self._poster.post(spot, part, name=f"line:{row['id']}", since_ms=since)
        return nothing

    async def _whisper(self, row: Row) -> Record:
        await self._api.respond(row["payload"]["url"], row["payload"]["text"])
        return nothing

    async def _place_of(self, row: Row) -> Spot | None:
        """Return where the app speaks: where it was spoken to, else where the task is."""
        said = row["payload"]
        if "channel_id" in said:
            return Spot(channel_id=said["channel_id"], thread_ts=said.get("thread_ts"))
        task = await self._store.read(showing.task, row["task_id"])
        return None if task is None else await self._spot(task)

    async def _react(self, row: Row) -> Record:
        at = row["payload"]
        with tolerated(_DONE_ALREADY):
            await self._api.call(
                "reactions_add", name="eyes", channel=at["channel_id"], timestamp=at["ts"]
            )
        return nothing

    async def _show_choice(self, row: Row) -> Record:
        chosen = row["payload"]
        part = Part(text=chosen["text"], blocks=chosen["blocks"])
        with tolerated(_GONE):
            await self._poster.update(chosen["channel_id"], chosen["ts"], part)
        return nothing
