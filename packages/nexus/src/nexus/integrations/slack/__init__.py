"""Slack: where people and agents talk in one thread."""
