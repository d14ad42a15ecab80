"""Slack: where people and agents talk in one thread."""

from nexus.integrations.slack.connection import Slack, SlackSettings

__all__ = ["Slack", "SlackSettings"]
