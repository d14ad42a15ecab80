"""What the gateway's tests share: event loops, and both server sides.

A module that names ``LOOPS`` runs in each of them. The server runs in uvloop where there is one,
which writes to sockets at other times than asyncio.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import pytest_asyncio

from socketio_sides import SIDES, Parlour, serving

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


@pytest.fixture(scope="module")
def parlour() -> Parlour:
    """Whoever visits the server side of a module's tests."""
    return Parlour()


@pytest.fixture
def host(parlour: Parlour) -> Parlour:
    """The parlour, empty."""
    parlour.visitors.clear()
    return parlour


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=SIDES)
async def url(request: pytest.FixtureRequest, parlour: Parlour) -> AsyncIterator[str]:
    """Our server side in one run of the test, the reference's in another."""
    async with serving(request.param, parlour) as url:
        yield url
