"""Where events from Nexus find their way: to the runner, the handlers, or who waits for them."""

import asyncio
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

from oblivion._claimer import Claimer
from oblivion._context import Handling, handling
from oblivion._desk import Desk
from oblivion._handlers import Handler, Handlers
from oblivion._inbox import Admission, Inbox, Receipt
from oblivion._incoming import Incoming, read
from oblivion._lanes import Job, Lanes
from oblivion._link import Link
from oblivion._logging import get_log
from oblivion._perform import perform
from oblivion._questions import Questions
from oblivion._runner import Runner
from oblivion._threads import Threads
from oblivion._tools import Tools
