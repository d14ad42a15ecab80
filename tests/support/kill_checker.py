"""Where it is proved from journals that nothing was lost and nothing was done twice.

Each rule is a pure function from a :class:`History` to the violations it finds; each violation
names the invariant, by its letter, that was broken.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kill_journal import Entry, What
from oblivion.protocol import HELD_STATUSES, EventType

FINAL = frozenset({"DONE", "FAILED", "CANCELLED"})
ENDS = FINAL | {"TODO"}
WINDOW = 64
_TASKS = "/observer/tasks"


@dataclass(frozen=True, kw_only=True)
class StoredTask:
    """A task as the store has it in the end."""

    id: str
    title: str
    status: str
    attempt: int
    holder: str | None
    result: object


@dataclass(frozen=True, kw_only=True)
class StoredEvent:
    """An event as the store has it in the end."""

    agent: str
    seq: int
    id: str


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What the store holds in the end."""

    tasks: Sequence[StoredTask]
    messages: Sequence[tuple[str, str]]
    """The task and the text of each message."""
    events: Sequence[StoredEvent]
    heads: Mapping[str, int]
    """The number of each agent's newest event."""


@dataclass(frozen=True, kw_only=True)
class History:
    """What the journals tell and what the store holds in the end."""

    entries: Sequence[Entry]
    stored: Stored
    unseen: frozenset[str] = frozenset()
    """The agents whose events nobody noted as they came in, only what their handlers saw."""

    def of(self, *whats: What) -> Iterator[Entry]:
        """Return the entries of these kinds, in order."""
        return (entry for entry in self.entries if entry.what in whats)

    def by_agent(self, *whats: What) -> dict[str, list[Entry]]:
        """Return the entries of these kinds by who noted them."""
        found: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.of(*whats):
            found[entry.who].append(entry)
        return found

    def granted(self) -> dict[str, dict[int, Entry]]:
        """Return the first sight of each attempt that was granted, by task."""
        found: dict[str, dict[int, Entry]] = defaultdict(dict)
        for entry in self.of(What.RECEIVED):
            if entry.kind == EventType.TASK_ASSIGNED and entry.task and entry.attempt:
                found[entry.task].setdefault(entry.attempt, entry)
        return found

    def endings(self) -> dict[str, dict[str, Entry]]:
        """Return the calls whose ending of an attempt was confirmed, by task and by call."""
        found: dict[str, dict[str, Entry]] = defaultdict(dict)
        for entry in self.of(What.REPLIED):
            if entry.kind == EventType.TASK_UPDATE and entry.ok and entry.status in ENDS:
                found[entry.task or ""].setdefault(entry.id or "", entry)
        return found


@dataclass(frozen=True, kw_only=True)
class Violation:
    """An invariant that was broken, by its letter in reliability's list, and how."""

    invariant: str
    message: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.message}"


def violations(history: History) -> list[Violation]:
    """Return all that went wrong."""
    return [
        Violation(invariant=letter, message=message)
        for letter, rule in RULES
        for message in rule(history)
    ]


def prove(history: History) -> None:
    """Fail with the violations, if there are any."""
    found = violations(history)
    shown = "\n".join(map(str, found[:100]))
    assert not found, f"{len(found)} violations, the first of them:\n{shown}"


def accepted_work_is_kept_and_ends(history: History) -> Iterator[str]:
    """A: what was answered 2xx is there, as it was asked, and has ended."""
    tasks = {task.id: task for task in history.stored.tasks}
    for answer in history.of(What.ANSWERED):
        if answer.kind != _TASKS:
            continue
        task = tasks.get(answer.task or "")
        if task is None:
            yield f"task {answer.task} was answered {answer.status} (entry {answer.n}) and is gone"
        elif task.title != answer.id:
            yield f"task {task.id} was asked for as {answer.id!r} and is {task.title!r}"
        elif task.status not in FINAL:
            yield f"task {task.id} never ended: it is {task.status}"


def nobody_is_refused_or_left_waiting(history: History) -> Iterator[str]:
    """A: what was accepted is found again, and work goes on in every life."""
    for entry in history.of(What.REFUSED):
        yield f"{entry.who} was refused {entry.kind}: {entry.text}"
    for entry in history.of(What.STUCK):
        yield f"nothing went on in life {entry.life}: {entry.text}"


def said_words_are_kept(history: History) -> Iterator[str]:
    """A: every message that was confirmed stands in its thread."""
    there = Counter(text for _, text in history.stored.messages)
    for entry in _confirmed_messages(history):
        if not there[entry]:
            yield f"message {entry!r} was confirmed and is gone"


def confirmed_moves_are_kept(history: History) -> Iterator[str]:
    """A: the ending that was confirmed is the one the store holds."""
    tasks = {task.id: task for task in history.stored.tasks}
    for task_id, endings in history.endings().items():
        for ending in endings.values():
            task = tasks.get(task_id)
            if task is None or task.attempt < (ending.attempt or 0):
                yield f"{_told(ending)} was confirmed and is forgotten"
            elif task.attempt == ending.attempt and task.status in HELD_STATUSES:
                yield f"{_told(ending)} was confirmed, and the task is {task.status}"


def _confirmed_messages(history: History) -> set[str]:
    said = {call.id: call.text or "" for call in history.of(What.CALLED)}
    by_agents = {said[r.id] for r in history.of(What.REPLIED) if r.kind == "post_message" and r.ok}
    by_people = {answer.id or "" for answer in history.of(What.ANSWERED) if answer.kind != _TASKS}
    return by_agents | by_people


def _told(entry: Entry) -> str:
    return f"{entry.status} of attempt {entry.attempt} at task {entry.task} by {entry.who}"


def each_attempt_is_granted_once(history: History) -> Iterator[str]:
    """L: an attempt has one holder and one assignment, and the store knows of it."""
    seen: dict[tuple[str | None, int | None], Entry] = {}
    tasks = {task.id: task for task in history.stored.tasks}
    for entry in history.of(What.RECEIVED):
        if entry.kind != EventType.TASK_ASSIGNED:
            continue
        first = seen.setdefault((entry.task, entry.attempt), entry)
        if (first.who, first.id) != (entry.who, entry.id):
            yield f"attempt {entry.attempt} at {entry.task} went to {first.who} and {entry.who}"
        stored = tasks.get(entry.task or "")
        if stored is None or stored.attempt < (entry.attempt or 0):
            yield f"attempt {entry.attempt} at {entry.task} was granted and is unknown to the store"


def each_attempt_ends_once(history: History) -> Iterator[str]:
    """L: of all calls that would end an attempt one is confirmed, and it is its holder's."""
    granted = history.granted()
    for task, endings in history.endings().items():
        for attempt, number in Counter(e.attempt for e in endings.values()).items():
            if number > 1:
                yield f"attempt {attempt} at {task} was ended {number} times"
        for ending in endings.values():
            grant = granted[task].get(ending.attempt or 0)
            if grant is None or grant.who != ending.who:
                holder = "nobody" if grant is None else grant.who
                yield f"{_told(ending)} was confirmed; the attempt was {holder}'s"


def a_new_attempt_has_a_reason(history: History) -> Iterator[str]:
    """L: a task is leased again only where its holder let go of it or is no more."""
    let_go = {
        (call.task, call.attempt): call
        for call in history.of(What.CALLED)
        if call.kind == EventType.TASK_UPDATE and call.status in {"FAILED", "TODO"}
    }
    reborn = history.by_agent(What.REBORN)
    for task, attempts in history.granted().items():
        for before, after in pairwise(sorted(attempts)):
            earlier, later = attempts[before], attempts[after]
            gone = any(earlier.n < birth.n < later.n for birth in reborn[earlier.who])
            if after != before + 1 or ((task, before) not in let_go and not gone):
                yield f"{task} was leased to {later.who} while {earlier.who} held attempt {before}"


def done_is_final(history: History) -> Iterator[str]:
    """T: no attempt follows a confirmed end, no other end, and the store holds that one's."""
    tasks = {task.id: task for task in history.stored.tasks}
    granted = history.granted()
    for task, endings in history.endings().items():
        for ending in endings.values():
            if ending.status != "DONE":
                continue
            later = [n for n in granted[task] if n > (ending.attempt or 0)]
            if later:
                yield f"{_told(ending)} was confirmed, but attempt {later[0]} was granted"
            stored = tasks.get(task)
            if stored is not None and (stored.attempt, stored.status) != (ending.attempt, "DONE"):
                now = f"{stored.status} in attempt {stored.attempt}"
                yield f"{_told(ending)} was confirmed; the task is {now}"
    for done in history.stored.tasks:
        if done.status == "DONE":
            yield from _foreign_result(done)


def _foreign_result(task: StoredTask) -> Iterator[str]:
    if task.result != {"by": task.holder, "attempt": task.attempt}:
        yield f"{task.id} is DONE by {task.holder}, attempt {task.attempt}, with {task.result}"


def read_ends_stay(history: History) -> Iterator[str]:
    """T: who has read that a task ended, reads the same ever after."""
    ended: dict[str, Entry] = {}
    for read in history.of(What.READ):
        first = ended.get(read.task or "")
        if first is not None and first.digest != read.digest:
            yield f"{read.task} was read as {first.digest}, later as {read.digest}"
        elif read.status in FINAL:
            ended.setdefault(read.task or "", read)


def events_come_in_order_without_holes(history: History) -> Iterator[str]:
    """D: an agent first sees its events as 1, 2, 3 ..., up to the last one that there is."""
    for agent in history.stored.heads.keys() - history.unseen:
        head, top = history.stored.heads[agent], 0
        for event in history.of(What.RECEIVED):
            if event.who != agent or event.seq is None:
                continue
            if event.seq > top + 1:
                yield f"{agent} was sent event {event.seq} after {top} (entry {event.n})"
            top = max(top, event.seq)
        if top != head:
            yield f"{agent} has seen events up to {top}; the store has told it {head}"


def an_event_never_changes(history: History) -> Iterator[str]:
    """D: the same number is the same event, and the store's."""
    stored = {(event.agent, event.seq): event.id for event in history.stored.events}
    for agent, received in history.by_agent(What.RECEIVED).items():
        first: dict[int, Entry] = {}
        for event in received:
            seq = event.seq or 0
            before = first.setdefault(seq, event)
            if (before.id, before.digest) != (event.id, event.digest):
                yield f"event {seq} of {agent} came with two contents"
            if stored.get((agent, seq)) != event.id:
                yield f"event {seq} of {agent} was sent as {event.id} and is not in the store"


def settled_events_stay_settled(history: History) -> Iterator[str]:
    """D: an event whose acknowledgement was confirmed is not sent in a later life."""
    settled: dict[tuple[str, int | None], Entry] = {}
    for entry in history.of(What.RECEIVED, What.ACKED):
        if entry.what is What.ACKED and entry.ok:
            settled.setdefault((entry.who, entry.seq), entry)
        elif entry.what is What.RECEIVED:
            ack = settled.get((entry.who, entry.seq))
            if ack is not None and ack.life < entry.life:
                yield f"{entry.who} acknowledged event {entry.seq} and was sent it again"


def what_is_withdrawn_is_over(history: History) -> Iterator[str]:
    """D: an attempt whose assignment came as withdrawn is ended by no call that was made later."""
    withdrawn: dict[tuple[str | None, int | None], Entry] = {}
    for entry in history.of(What.RECEIVED):
        if entry.status == "withdrawn":
            withdrawn.setdefault((entry.task, entry.attempt), entry)
    first_sent: dict[str | None, Entry] = {}
    for call in history.of(What.CALLED):
        first_sent.setdefault(call.id, call)
    for endings in history.endings().values():
        for call_id, ending in endings.items():
            told = withdrawn.get((ending.task, ending.attempt))
            if told is not None and first_sent[call_id].n > told.n:
                yield f"{_told(ending)} was confirmed after its assignment came as withdrawn"


def histories_only_grow(history: History) -> Iterator[str]:
    """D: what an agent was told of its history stays true, and no gap is announced."""
    for agent, entries in history.by_agent(What.READY, What.RECEIVED).items():
        head, epoch = 0, None
        for entry in entries:
            seq = entry.seq or 0
            if entry.what is What.READY and seq < head:
                yield f"the history of {agent} shrank from {head} to {seq}"
            if entry.what is What.READY and epoch not in {None, entry.id}:
                yield f"the history of {agent} was replaced"
            epoch = entry.id if entry.what is What.READY else epoch
            head = max(head, seq)
    for gap in history.of(What.GAP):
        yield f"{gap.who} was told of a gap: {gap.text}"


def handlers_run_once_in_a_process(history: History) -> Iterator[str]:
    """D: within one process an attempt, or a message, reaches its handler once."""
    runs = Counter((e.id, e.task, e.attempt) for e in history.of(What.STARTED))
    for (process, task, attempt), number in runs.items():
        if number > 1:
            yield f"{process} began attempt {attempt} at {task} {number} times"
    heard = Counter((entry.id, entry.text) for entry in history.of(What.HEARD))
    for (process, text), number in heard.items():
        if number > 1:
            yield f"{process} heard {text!r} {number} times"


def the_window_bounds_what_is_in_flight(history: History) -> Iterator[str]:
    """B: Nexus sends an agent at most a window of events ahead of its acknowledgements."""
    for agent, entries in history.by_agent(What.RECEIVED, What.ACKED).items():
        in_flight: set[int | None] = set()
        life = 0
        for entry in entries:
            if entry.life != life:
                life, in_flight = entry.life, set()
            (in_flight.add if entry.what is What.RECEIVED else in_flight.discard)(entry.seq)
            if len(in_flight) > WINDOW:
                yield f"{agent} had {len(in_flight)} events in flight (entry {entry.n})"
                break


def a_key_has_one_effect(history: History) -> Iterator[str]:
    """I: a keyed request, however often it came, made one thing and is answered alike."""
    answers: dict[tuple[str | None, str | None], str | None] = {}
    for entry in history.of(What.ANSWERED):
        first = answers.setdefault((entry.kind, entry.id), entry.digest)
        if first != entry.digest:
            yield f"{entry.id!r} was answered with {first} and {entry.digest}"
    asked = {entry.id for entry in history.of(What.ASKED)}
    for title, number in Counter(task.title for task in history.stored.tasks).items():
        if number > 1 or title not in asked:
            yield f"{title!r}, asked for by {int(title in asked)} key, made {number} tasks"


def a_call_has_one_effect(history: History) -> Iterator[str]:
    """I: a call that was carried out is answered alike when it is sent again, and speaks once.

    One that was refused had no effect; sent again it is judged anew.
    """
    carried_out: dict[str | None, str | None] = {}
    for entry in history.of(What.REPLIED):
        if entry.ok:
            carried_out.setdefault(entry.id, entry.digest)
        first = carried_out.get(entry.id, entry.digest)
        if first != entry.digest:
            yield f"call {entry.id} was answered with {first} and {entry.digest}"
    for text, number in Counter(text for _, text in history.stored.messages).items():
        if number > 1:
            yield f"{text!r} was said once and stands {number} times in the thread"


Rule = Callable[[History], Iterable[str]]
RULES: Sequence[tuple[str, Rule]] = (
    ("A", accepted_work_is_kept_and_ends),
    ("A", nobody_is_refused_or_left_waiting),
    ("A", said_words_are_kept),
    ("A", confirmed_moves_are_kept),
    ("L", each_attempt_is_granted_once),
    ("L", each_attempt_ends_once),
    ("L", a_new_attempt_has_a_reason),
    ("T", done_is_final),
    ("T", read_ends_stay),
    ("D", events_come_in_order_without_holes),
    ("D", an_event_never_changes),
    ("D", settled_events_stay_settled),
    ("D", what_is_withdrawn_is_over),
    ("D", histories_only_grow),
    ("D", handlers_run_once_in_a_process),
    ("B", the_window_bounds_what_is_in_flight),
    ("I", a_key_has_one_effect),
    ("I", a_call_has_one_effect),
)
