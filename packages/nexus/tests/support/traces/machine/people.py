"""Where people make tasks, move them, edit them and speak about them."""

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from nexus.domain.errors import Conflict
from nexus.services import idempotency, tasks, threads
from nexus.store import Tx
from nexus.store.schema import messages
from nexus.store.tx import Row
from oblivion.protocol import TaskStatus
from traces.machine.base import Machine
from traces.machine.choices import (
    PERSONS_MOVES,
    SKILL_SETS,
    TASKS,
    TEXTS,
    WISHES,
    Wish,
    mentions,
)
from traces.model import people as model_people
from traces.model.state import ModelTask


class PeopleRules(Machine):
    """What the admins of two tenants do with tasks."""

    @rule(wish=WISHES)
    def create(self, wish: Wish) -> None:
        owner = self.people()[self.world.places[wish.place].tenant_id]
        command = wish.command(self.world.places[wish.place].id)
        self.step(
            lambda: self._refuse_archived(wish.place),
            tasks.create,
            owner,
            command,
            by=owner.tenant_id,
            learn=lambda made: self._note(made.id, wish.place, command),
        )

    @rule(key=st.sampled_from(["k1", "k2"]), place=st.sampled_from(["work", "race"]))
    def create_keyed(self, key: str, place: str) -> None:
        """The same key with the same wish makes one task; with another it is refused."""
        wish = tasks.CreateTask(project_id=self.world.places[place].id, title="Keyed")
        request = idempotency.KeyedRequest(client_id="admin", key=key, fingerprint=place)
        known = self.model.keys.get(key)

        def act(tx: Tx) -> idempotency.Answer:
            def create() -> idempotency.Answer:
                made = tasks.create(tx, self.world.admin, wish)
                return idempotency.Answer(status=201, body={"id": made.id})

            return idempotency.once(tx, request, create)

        def predict() -> idempotency.Answer | None:
            if known is None:
                return None
            if known[1] != place:
                raise idempotency.KeyReused("other body")
            return idempotency.Answer(status=201, body=known[2], repeated=True)

        def learn(answered: idempotency.Answer) -> None:
            if known is None:
                self.model.keys[key] = (self.model.now, place, answered.body)
                self._note(answered.body["id"], place, wish)

        self.step(predict, act, by=self.world.admin.tenant_id, learn=learn)

    def _refuse_archived(self, slug: str) -> None:
        if self.world.places[slug].id in self.model.archived:
            raise Conflict("archived")

    def _note(self, task_id: str, slug: str, wish: tasks.CreateTask) -> None:
        place = self.world.places[slug]
        self.order.append(task_id)
        self.model.tasks[task_id] = ModelTask(
            id=task_id,
            tenant=place.tenant_id,
            group=place.group_id,
            project=place.id,
            priority=wish.priority,
            needs=frozenset(wish.required_capabilities),
            max_attempts=wish.max_attempts,
            timeout=wish.timeout_seconds,
            created_at=self.model.now,
            not_before=self.model.now,
        )

    @precondition(lambda self: self.order)
    @rule(number=TASKS, status=PERSONS_MOVES)
    def set_status(self, number: int, status: TaskStatus) -> None:
        task = self.task(number)
        wish = tasks.SetStatus(status=status)
        named: dict[TaskStatus, Callable[[Tx], Any]] = {
            TaskStatus.CANCELLED: lambda tx: tasks.cancel(
                tx, self.person(task), task.id, tasks.Reason()
            ),
            TaskStatus.TODO: lambda tx: tasks.retry(tx, self.person(task), task.id),
        }
        plain = lambda tx: tasks.set_status(tx, self.person(task), task.id, wish)  # noqa: E731
        self.step(
            lambda: model_people.set_status(self.model, task, wish),
            named.get(status, plain),
            by=task.tenant,
        )

    @precondition(lambda self: self.order)
    @rule(
        number=TASKS,
        priority=st.integers(1, 4),
        max_attempts=st.integers(1, 3),
        skills=SKILL_SETS,
        timeout=st.sampled_from([None, 30]),
    )
    def edit(
        self, number: int, priority: int, max_attempts: int, skills: list[str], timeout: int | None
    ) -> None:
        task = self.task(number)
        wish = tasks.EditTask(
            priority=priority,
            max_attempts=max_attempts,
            required_capabilities=skills,
            timeout_seconds=timeout,
        )
        self.step(
            lambda: model_people.edit(task, wish),
            tasks.edit,
            self.person(task),
            task.id,
            wish,
            by=task.tenant,
        )

    @precondition(lambda self: self.order)
    @rule(number=TASKS, text=TEXTS, over_http=st.booleans())
    def say(self, number: int, text: str, over_http: bool) -> None:
        """Most is said where somebody listens, or waits for an answer."""
        blocked = [t for t in self.model.tasks.values() if t.status is TaskStatus.BLOCKED_ON_HUMAN]
        if blocked:
            task = blocked[number % len(blocked)]
        else:
            task = self.held(number) if self.somebody_works() else self.task(number)
        say = lambda tx: threads.say(tx, self.person(task), task.id, threads.Say(text=text))  # noqa: E731
        reply = lambda tx: threads.reply(  # noqa: E731
            tx, self.person(task), task.id, threads.Reply(message=text)
        )
        self.step(
            lambda: model_people.post(self.model, None, task, mentions(text)),
            reply if over_http else say,
            by=task.tenant,
        )

    @precondition(lambda self: self.order)
    @rule(number=TASKS, which=st.integers(0, 3), taken_back=st.booleans())
    def correct(self, number: int, which: int, taken_back: bool) -> None:
        """Change or take back one of a thread's messages: whoever said it, in the same way."""
        task = self.held(number) if self.somebody_works() else self.task(number)
        said = self.world.run(messages_of, task.id)
        if not said:
            return
        message = said[which % len(said)]
        gone = message["deleted_at"] is not None

        def act(tx: Tx) -> bool:
            row = tasks.find(tx, self.person(task), task.id, lock=True)
            if taken_back:
                return threads.delete(tx, row, message["id"])
            return threads.edit(tx, row, message["id"], f"{message['text']} @a @b")

        self.step(
            lambda: not gone and model_people.correct(self.model, message["author_id"], task),
            act,
            by=task.tenant,
        )


def messages_of(tx: Tx, task_id: str) -> Sequence[Row]:
    """Return what was said in a thread."""
    return tx.rows(messages.select().where(messages.c.task_id == task_id).order_by(messages.c.ts))
