"""Where the ways live in which the demo can end early."""


class DemoFailed(Exception):
    """The demo cannot go on, or did not get all tasks done; the message says why."""


class DemoInterrupted(Exception):
    """Ctrl-C, or a signal that asks the demo to end."""
