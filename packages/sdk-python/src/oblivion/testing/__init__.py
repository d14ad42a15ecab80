"""Test an agent in milliseconds: a Nexus in the test's own process, with time under control.

:class:`FakeNexus` listens on a free port and speaks the protocol; the test plays the people. The
fixtures ``nexus`` and ``clock`` come with ``oblivion-sdk[testing]``.
"""

from oblivion.testing._clock import FakeClock
from oblivion.testing._faults import Faults
from oblivion.testing._nexus import FakeNexus
from oblivion.testing._server import Heard
from oblivion.testing._tasks import TaskDetails

__all__ = ["FakeClock", "FakeNexus", "Faults", "Heard", "TaskDetails"]
