"""Where the errors live that a test may meet, and the refusals that the Web API answers with.

SlackTestingError
├── NotThereError       what a test asks for is not in the workspace (a LookupError, too)
├── NeverHappenedError  what a test waited for did not happen in time (an AssertionError, too)
└── RefusedError        Slack refuses a call; it becomes ``{"ok": false, "error": ...}``
"""

from typing import Any


class SlackTestingError(Exception):
    """Anything that the Slack of the tests raises."""


class NotThereError(SlackTestingError, LookupError):
    """What a test asks for is not in the workspace."""


class NeverHappenedError(SlackTestingError, AssertionError):
    """What a test waited for did not happen in time."""


class RefusedError(SlackTestingError):
    """Slack refuses, with the word that its documentation names."""

    def __init__(self, error: str, **details: Any) -> None:
        super().__init__(error)
        self.error = error
        self.details = details
