"""Where pytest finds the fixtures ``nexus`` and ``clock`` of ``oblivion-sdk[testing]``.

Apart from ``oblivion``, so that a test run that uses neither does not load it.
"""

from importlib import import_module
from importlib.util import find_spec

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures, or those that say what is missing."""
    there = find_spec("pytest_asyncio") is not None
    name = f"oblivion_pytest.{'fixtures' if there else 'missing'}"
    config.pluginmanager.register(import_module(name), name)
