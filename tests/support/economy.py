"""What holds for every run of the tests: the long ones begin first, and dear things are spared."""

import functools
import gc
import os
import ssl
from collections.abc import Callable
from typing import Any

import httpcore2
import pytest

_USUAL_S = 60.0


def pytest_configure() -> None:
    """Read the machine's certificates once, instead of anew for each client of a local server."""
    httpcore2.default_ssl_context = _shared(httpcore2.default_ssl_context)


def _shared(make: Callable[..., ssl.SSLContext]) -> Callable[..., ssl.SSLContext]:
    @functools.cache
    def made(_where: tuple[str | None, ...], options: tuple[tuple[str, Any], ...]) -> Any:
        return make(**dict(options))

    def shared(**options: Any) -> Any:
        where = (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        return made(where, tuple(options.items()))

    return shared


@pytest.hookimpl(trylast=True)  # once it is settled which tests run
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that may take longest, so that no process is left with one at the end.

    Tests of one file stay together, because they share what is slow to start.
    """
    longest: dict[object, float] = {}
    for item in items:
        longest[item.path] = max(_seconds(item), longest.get(item.path, 0.0))
    items.sort(key=lambda item: -longest[item.path])


def _seconds(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    return _USUAL_S if marker is None else float(marker.args[0])


def pytest_collection_finish() -> None:
    """Have garbage looked for less often, and never among the modules that are there for good."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
