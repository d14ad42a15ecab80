"""That the database refused is told for a minute, and logged once."""

import logging

import pytest

from fake_time import FakeTime
from nexus.store.refusals import KEPT_S, Refusals


def test_a_refusal_is_told_for_a_minute_and_logged_once_in_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    time = FakeTime()
    refusals = Refusals(lambda: time() / 1000)
    told = [refusals.recent]
    with caplog.at_level(logging.ERROR, "nexus.store"):
        for reason in ("full", "full", "full", "locked"):
            refusals.note(reason)
            told.append(refusals.recent)
            time.advance(seconds=1)
        time.advance(seconds=KEPT_S - 2)
        told.append(refusals.recent)
        time.advance(seconds=1)
        told.append(refusals.recent)
        refusals.note("locked")
    assert told == [None, "full", "full", "full", "locked", "locked", None]
    assert [record.getMessage() for record in caplog.records] == [
        "database_refuses reason='full'",
        "database_refuses reason='locked'",
        "database_refuses reason='locked'",
    ]
