"""Event loops of the gateway's tests: a module that names ``LOOPS`` runs in each of them.

The server runs in uvloop where there is one, which writes to sockets at other times than asyncio.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping

import pytest

if sys.platform == "win32":
    _FACTORIES: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {}
else:
    import uvloop

    _FACTORIES = {"uvloop": uvloop.new_event_loop}


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    factories = {"asyncio": asyncio.new_event_loop, **_FACTORIES}
    wanted = getattr(getattr(item, "module", None), "LOOPS", ("asyncio",))
    return {name: factory for name, factory in factories.items() if name in wanted}
