"""How much of what agents say is shown elsewhere, and when it is taken for a loop."""

from hypothesis import given
from hypothesis import strategies as st

from nexus.domain.noise import (
    AGENT_A_MINUTE,
    HOUR_MS,
    MINUTE_MS,
    PROJECT_AN_HOUR,
    SAME_WITHIN_MS,
    Utterance,
    Verdict,
    is_news,
    judge,
)

HELD_BACK = {Verdict.HOLD_AGENT, Verdict.HOLD_PROJECT}


def _said(agent: int, project: int, text: int, at: int) -> Utterance:
    return Utterance(agent_id=f"a{agent}", project_id=f"p{project}", digest=str(text), at=at)


speech = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(0, 40), st.integers(0, 20_000)),
    max_size=300,
)
"""Who says what where, and how many milliseconds after what was said before."""


def _judged(spoken: list[tuple[int, int, int, int]]) -> list[tuple[Utterance, Verdict, bool]]:
    """Return each utterance as it was judged after those before it, and whether it made news."""
    heard: list[tuple[Utterance, Verdict, bool]] = []
    now = 0
    for agent, project, text, later in spoken:
        now += later
        said = _said(agent, project, text, now)
        lately = [one for one, _, _ in heard if now - one.at < HOUR_MS]
        verdict = judge(lately, said)
        news = verdict in HELD_BACK and is_news(lately, said, verdict)
        shown = Utterance(**{**vars(said), "shown": verdict is Verdict.SHOW})
        heard.append((shown, verdict, news))
    return heard


@given(speech)
def test_no_window_shows_more_than_its_share(spoken: list[tuple[int, int, int, int]]) -> None:
    shown = [one for one, verdict, _ in _judged(spoken) if verdict is Verdict.SHOW]
    for last in shown:
        minute = [one for one in shown if 0 <= last.at - one.at < MINUTE_MS]
        hour = [one for one in shown if 0 <= last.at - one.at < HOUR_MS]
        assert len([one for one in minute if one.agent_id == last.agent_id]) <= AGENT_A_MINUTE
        assert len([one for one in hour if one.project_id == last.project_id]) <= PROJECT_AN_HOUR


@given(speech)
def test_the_same_again_within_seconds_pauses_and_nothing_else_does(
    spoken: list[tuple[int, int, int, int]],
) -> None:
    heard = [(one, verdict) for one, verdict, _ in _judged(spoken)]
    for number, (said, verdict) in enumerate(heard):
        repeated = any(
            (one.agent_id, one.digest) == (said.agent_id, said.digest)
            and said.at - one.at < SAME_WITHIN_MS
            for one, _ in heard[:number]
        )
        assert (verdict is Verdict.PAUSE) == repeated


@given(speech)
def test_people_are_told_once_in_each_window_that_something_is_held_back(
    spoken: list[tuple[int, int, int, int]],
) -> None:
    told = [(one, verdict) for one, verdict, news in _judged(spoken) if news]
    held = [verdict for _, verdict, _ in _judged(spoken) if verdict in HELD_BACK]
    assert bool(told) == bool(held)
    for one, verdict in told:
        if verdict is Verdict.HOLD_AGENT:
            again = [
                other
                for other, also in told
                if also is verdict
                and other.agent_id == one.agent_id
                and 0 < other.at - one.at < MINUTE_MS
            ]
            assert again == []


@given(speech)
def test_a_question_is_never_held_back(spoken: list[tuple[int, int, int, int]]) -> None:
    lately = [one for one, _, _ in _judged(spoken)]
    now = lately[-1].at if lately else 0
    asked = _said(0, 0, 99, now)
    assert judge(lately, asked, is_question=True) is Verdict.SHOW


def test_a_question_is_asked_again_where_a_person_spoke_in_between() -> None:
    before, again = _said(1, 1, 1, 1_000), _said(1, 1, 1, 3_000)
    assert judge([before], again, is_question=True, answered_at=2_000) is Verdict.SHOW
    assert judge([before], again, is_question=True, answered_at=500) is Verdict.PAUSE
    assert judge([before], again, is_question=True) is Verdict.PAUSE
