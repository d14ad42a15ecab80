"""What the benchmark computes from what it measured."""

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from rich.console import Console

from bench import report
from bench.effort import Effort
from bench.figures import Aim, Figure, Samples, oblivion, percentile
from bench.load import frames
from bench.load.http import Answer, Connections
from bench.load.press import Press
from bench.load.race import Race
from bench.measures.rivals import figures as figures_of
from bench.profile import fold
from bench.rivals.brokers import redis
from bench.rivals.consumer import Starts
from bench.rivals.tally import Tally
from bench.rivals.trial import Contestant, Found, Paced, Saturated, trial

MACHINE = {
    "cpu": "a CPU",
    "cores": 2,
    "memoryGiB": 4,
    "fsyncMs": 0.5,
    "os": "an OS",
    "python": "CPython",
    "sqlite": "3",
    "brokers": {"redis-server": "7"},
    "libraries": {"saq": "1"},
    "commit": "abc",
}


def figure(name: str, unit: str, ours: list[float], **rivals: tuple[float, ...]) -> Figure:
    return Figure(
        name=name,
        what=name,
        unit=unit,
        ours=oblivion(ours),
        rivals=tuple(Samples(who=who, values=values) for who, values in rivals.items()),
    )


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.5, 51.0), (0.99, 100.0), (1.0, 100.0)])
def test_a_percentile_is_a_value_that_was_measured(share: float, value: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], share) == value


def test_a_rate_is_compared_with_the_fastest_rival_and_a_time_with_the_shortest() -> None:
    rate = figure("a", "tasks/s", [400, 100, 200], slow=(50,), fast=(100,))
    time = figure("b", "ms", [3, 1, 2], slow=(8,), fast=(4,))
    assert (rate.ratio, time.ratio) == (2.0, 0.5)
    assert [one.rival and one.rival.who for one in (rate, time)] == ["fast", "fast"]


def test_an_aim_is_held_against_the_median() -> None:
    met = Figure(name="a", what="", unit="n/s", ours=oblivion([9, 3, 1]), aim=Aim(at_least=3))
    missed = Figure(name="b", what="", unit="ms", ours=oblivion([9, 3, 1]), aim=Aim(at_most=2))
    assert (met.meets_aim, missed.meets_aim) == (True, False)


@pytest.fixture
def results() -> report.Results:
    return report.Results(
        when="2026-01-02T03:04:05+00:00",
        effort="quick",
        machine=MACHINE,
        load_before=[0.0],
        load_after=[1.0],
        seconds=60,
        settings={"saq, Redis": "as it comes"},
        figures=[
            figure(
                "rivals.throughput", "tasks/s", [3000, 4000], **{"saq, Redis": (2000.0, 1000.0)}
            ),
            figure("rivals.latency_p50", "ms", [1.0], **{"saq, Redis": (1.5,)}),
            figure("rivals.latency_p99", "ms", [4.0], **{"saq, Redis": (120.0,)}),
            figure("rivals.cpu", "ms", [0.2], **{"saq, Redis": (0.5,)}),
        ],
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    return tmp_path


def test_a_whole_run_writes_a_file_for_programs_a_page_and_a_plot(
    results: report.Results, folder: Path
) -> None:
    report.keep(results, "quick", whole=True)
    data = json.loads((folder / "2026-01-02-quick.json").read_text())
    page = (folder / "latest.md").read_text()
    assert data["figures"][0]["ours"] == {
        "who": "Oblivion",
        "median": 3500,
        "min": 3000,
        "max": 4000,
        "runs": [3000, 4000],
    }
    assert (
        "| saq, Redis | 1,500 (1,000 to 2,000) | 2.33 | 1.50 | 120 | 0.50 | as it comes |" in page
    )
    assert "](latest.svg)" in page
    assert (folder / "latest.svg").read_text().startswith("<?xml")


def test_a_part_of_the_measures_leaves_the_latest_results_alone(
    results: report.Results, folder: Path
) -> None:
    report.keep(results, "quick-rivals", whole=False)
    assert [path.name for path in folder.iterdir()] == ["2026-01-02-quick-rivals.json"]


def test_a_profile_counts_what_computes_and_leaves_out_what_waits() -> None:
    profile = fold(
        [
            "main (cli.py:1);Runner.run (asyncio/runners.py:86);serve (a.py:1);parse (b.py:2) 3",
            "main (cli.py:1);Runner.run (asyncio/runners.py:86);serve (a.py:1) 1",
            "Thread.run (threading.py:971);_worker (concurrent/futures/thread.py:69) 9",
        ]
    )
    assert profile.samples == 4
    assert profile.own == {"parse (b.py:2)": 3, "serve (a.py:1)": 1}
    assert profile.whole == {"serve (a.py:1)": 4, "parse (b.py:2)": 3}


def test_frames_are_those_of_the_protocol() -> None:
    sent = frames.call("task_update", {"taskId": "t"}, 7)
    assert sent.startswith(b'42/agents,7["task_update",{')
    name, envelope = frames.event(sent)
    assert (name, envelope["type"], envelope["payload"]) == (
        "task_update",
        "task_update",
        {"taskId": "t"},
    )
    assert frames.ack(b'43/agents,7[{"acknowledged":true}]') == (7, {"acknowledged": True})


def test_an_agent_claims_one_offer_at_a_time_while_it_has_a_free_slot() -> None:
    race = Race(slots=1)
    race.offered("a")
    race.offered("b")
    assert race.next_claim() == "a"
    assert race.next_claim() is None, "a claim is under way"
    race.claimed("a", success=True)
    assert race.next_claim() is None, "the task that was won is on its way"
    race.assigned("a")
    assert race.next_claim() is None, "the slot is taken"
    race.slots_freed(1)
    assert race.next_claim() == "b"


class _Wire(Connections):
    """One connection whose answers the test gives."""

    def __init__(self) -> None:
        super().__init__("http://nowhere", 3)
        self.asked: list[object] = []
        self.unused = 3

    @property
    def free(self) -> int:
        return self.unused

    def send(self, prepared: bytes, answered: object) -> None:
        self.unused -= 1
        self.asked.append(answered)

    def answer(self, status: int, task_id: str = "") -> None:
        self.unused += 1
        answered = self.asked.pop(0)
        assert callable(answered)
        answered(Answer(status=status, body=orjson.dumps({"id": task_id})))


def test_as_many_tasks_are_kept_open_as_were_asked_for() -> None:
    wire = _Wire()
    press = Press(wire, lambda: b"POST")
    press.hold(2)
    assert len(wire.asked) == 2
    wire.answer(201, "a")
    assert (press.open, len(wire.asked)) == (2, 1)
    press.ended("a")
    assert (press.done, press.open, len(wire.asked)) == (1, 2, 2)


def test_a_task_may_be_done_before_the_answer_to_its_request_is_read() -> None:
    wire = _Wire()
    press = Press(wire, lambda: b"POST")
    press.hold(1)
    press.hold(0)
    press.ended("a")
    wire.answer(201, "a")
    assert (press.posted, press.done, press.accepted, press.open) == (1, 1, set(), 0)


def test_a_refused_request_is_remembered() -> None:
    wire = _Wire()
    press = Press(wire, lambda: b"POST")
    press.hold(1)
    press.hold(0)
    wire.answer(503)
    assert press.refusals == ['HTTP 503: {"id":""}']


def test_a_tally_is_seen_by_whoever_maps_it(tmp_path: Path) -> None:
    mine = Tally(tmp_path / "tally")
    theirs = Tally(tmp_path / "tally")
    mine.add()
    mine.add()
    assert theirs.value == 2


SHORT = Effort(
    name="short",
    runs=1,
    warm_up_seconds=0.2,
    paced_seconds=0.5,
    saturated_seconds=0.3,
    patience=0.5,
)


@pytest.mark.timeout(120)
async def test_a_rival_that_loses_jobs_has_figures_and_a_remark() -> None:
    losing = Contestant(who="losing", module="tests.support.losing_rival", broker=redis)
    found = await trial(losing, SHORT)
    (paced,) = found.paced
    assert (len(paced.waits), paced.enqueued) == (20, 25)
    assert min(paced.waits) > 0
    assert found.paced_remark == "lost 5 of 25 jobs"
    assert found.saturated_remark == f"lost 10 of {found.saturated.enqueued:,} jobs"
    assert found.saturated.rates[0] > 0
    assert found.failure == ""


@pytest.mark.timeout(120)
async def test_a_rival_that_breaks_down_keeps_what_it_did_before_and_says_why_it_did_no_more() -> (
    None
):
    failing = Contestant(who="failing", module="tests.support.failing_rival", broker=redis)
    found = await trial(failing, SHORT)
    assert [len(one.waits) for one in found.paced] == [25]
    assert found.paced_remark == ""
    assert found.saturated.rates == ()
    assert found.saturated_remark == f"no figure: {found.failure}"


async def test_a_rival_that_does_not_even_start_is_a_remark() -> None:
    missing = Contestant(who="missing", module="tests.support.no_such_rival", broker=redis)
    found = await trial(missing, SHORT)
    assert found.paced_remark == found.saturated_remark == f"no figure: {found.failure}"
    assert "a worker of the benchmark ended" in found.failure


def all_of(*rates: float, **more: Any) -> Found:
    """A contestant that did all."""
    return Found(
        paced=(Paced(waits=[1.0, 2.0], enqueued=2),),
        saturated=Saturated(rates=rates, cpu_ms={"worker": 0.5}, enqueued=9, kept=9, **more),
    )


@pytest.fixture
def spoiled(results: report.Results) -> report.Results:
    """Results in which one rival lost jobs, one came halfway and one did nothing."""
    half = (Paced(waits=[3.0], enqueued=1),)
    theirs = {
        "whole": all_of(500.0),
        "lossy": replace(all_of(900.0), paced=(Paced(waits=[4.0], enqueued=3),)),
        "halfway": Found(paced=half, failure="TimeoutError: too slow"),
        "absent": Found(failure="RuntimeError: no broker"),
    }
    return replace(results, figures=figures_of(all_of(1_000.0), theirs), settings={})


def test_the_report_says_of_each_rival_what_it_lost_or_why_it_has_no_figure(
    spoiled: report.Results, folder: Path
) -> None:
    report.keep(spoiled, "quick", whole=True)
    page = (folder / "latest.md").read_text()
    latency = "rivals.latency_p50, rivals.latency_p99"
    assert "| whole | 500 | 2.00 | 2.00 | 2.00 | 0.50 |  |" in page
    assert "| halfway | no figure |  | 3.00 | 3.00 | no figure |  |" in page
    assert "| absent | no figure |  | no figure | no figure | no figure |  |" in page
    assert f"- lossy: lost 2 of 3 jobs ({latency})" in page
    assert "- halfway: no figure: TimeoutError: too slow (rivals.throughput, rivals.cpu)" in page
    assert f"- absent: no figure: RuntimeError: no broker (rivals.throughput, {latency}" in page
    assert "no figure" in (folder / "latest.svg").read_text()
    data = json.loads((folder / "2026-01-02-quick.json").read_text())
    throughput = {one["who"]: one for one in data["figures"][0]["rivals"]}
    assert throughput["absent"] == {
        "who": "absent",
        "median": None,
        "min": None,
        "max": None,
        "runs": [],
        "remark": "no figure: RuntimeError: no broker",
    }
    assert data["figures"][0]["ratio"] == pytest.approx(1_000 / 900)


def test_what_rivals_lost_is_printed_too(spoiled: report.Results) -> None:
    printed = StringIO()
    report.show(Console(file=printed, width=200), spoiled.figures)
    assert "lossy: lost 2 of 3 jobs" in printed.getvalue()


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("hasty_threads")
def test_no_start_is_lost_that_a_thread_notes_while_another_takes_what_was_noted() -> None:
    starts, taken = Starts(), dict[str, int]()
    titles = [f"paced {number}" for number in range(40_000)]
    with ThreadPoolExecutor(4) as pool:
        noting = pool.map(starts.note, titles, chunksize=1)
        while len(taken) + 5_000 < len(titles):
            taken |= starts.take()
        list(noting)
    taken |= starts.take()
    assert taken.keys() == set(titles)


def test_turns_of_a_contestant_count_as_one_trial() -> None:
    first = Found(
        paced=(Paced(waits=[1.0], enqueued=1),),
        saturated=Saturated(rates=(10.0,), cpu_ms={"worker": 1.0}, enqueued=9, kept=9),
    )
    second = Found(
        paced=(Paced(waits=[2.0], enqueued=2),),
        saturated=Saturated(rates=(30.0,), cpu_ms={"worker": 3.0}, enqueued=5, kept=4),
    )
    both = Found().and_then(first).and_then(second)
    assert both.saturated == Saturated(
        rates=(10.0, 30.0), cpu_ms={"worker": 2.0}, enqueued=14, kept=13
    )
    assert (both.paced_remark, both.saturated_remark) == ("lost 1 of 3 jobs", "lost 1 of 14 jobs")
    broken = both.and_then(Found(failure="TimeoutError: too slow"))
    assert broken.paced == both.paced
    assert broken.saturated_remark == "no figure: TimeoutError: too slow"
