"""Where a Slack for tests is offered: real HTTP and WebSockets, Slack's own rules."""

from nexus.testing.slack._channels import Channel, Whisper
from nexus.testing.slack._deliveries import Answer, Delivery, Try
from nexus.testing.slack._errors import (
    NeverHappenedError,
    NotThereError,
    RefusedError,
    SlackTestingError,
)
from nexus.testing.slack._faults import (
    CutAfter,
    CutBefore,
    Fault,
    Hangs,
    HangsAfter,
    RateLimited,
    Refuses,
    ServerFails,
)
from nexus.testing.slack._http_events import Seal
from nexus.testing.slack._limits import Rules
from nexus.testing.slack._messages import Button, Message
from nexus.testing.slack._people import Person
from nexus.testing.slack._server import SlackServer
from nexus.testing.slack._time import Clock
from nexus.testing.slack._users import App, Team, User
from nexus.testing.slack._web_api import Call

__all__ = [
    "Answer",
    "App",
    "Button",
    "Call",
    "Channel",
    "Clock",
    "CutAfter",
    "CutBefore",
    "Delivery",
    "Fault",
    "Hangs",
    "HangsAfter",
    "Message",
    "NeverHappenedError",
    "NotThereError",
    "Person",
    "RateLimited",
    "RefusedError",
    "Refuses",
    "Rules",
    "Seal",
    "ServerFails",
    "SlackServer",
    "SlackTestingError",
    "Team",
    "Try",
    "User",
    "Whisper",
]
