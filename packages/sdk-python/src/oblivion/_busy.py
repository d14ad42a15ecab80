"""Where the words live for what happens when people write while an agent works."""

from typing import Literal, TypeAlias, get_args

BusyPolicy: TypeAlias = Literal["queue", "steer", "interrupt", "reject"]
"""``queue``: to ``on_context_update``, in order. ``steer``: to the handler at work, which reads
``client.messages()``. ``interrupt``: the handler is cancelled and called again with the message.
``reject``: the person is told that nobody reads it."""

BUSY_POLICIES: tuple[BusyPolicy, ...] = get_args(BusyPolicy)
