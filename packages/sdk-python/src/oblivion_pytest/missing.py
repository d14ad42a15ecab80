"""Where the fixtures live that say what they need, in an environment that has not got it."""

import pytest

_NEEDS = "the fixtures of Oblivion need pytest-asyncio: install oblivion-sdk[testing]"


@pytest.fixture
def clock() -> None:
    """Say what is missing."""
    pytest.fail(_NEEDS)


@pytest.fixture
def nexus() -> None:
    """Say what is missing."""
    pytest.fail(_NEEDS)
