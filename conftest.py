"""Where the plugin of all tests is named: what ``pythonpath`` adds comes too late for ``-p``."""

pytest_plugins = ["economy"]
