"""A request is Slack's when Slack signed it just now; its letter has a name and a lane."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.signature import SignatureVerifier

from fake_time import FakeTime
from nexus.domain.errors import NotSigned, Unavailable
from nexus.integrations.slack.webhook import SlackWebhook
from nexus.services.deliveries import Letter
from slack_requests import FORM, Json, callback, form, press

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
TIME = FakeTime()
JSON = "application/json"


def hook(secret: str | None = SECRET, *, unsigned: bool = False) -> SlackWebhook:
    return SlackWebhook(secret, "tenant", TIME, unsigned=unsigned)


def signed(body: bytes, *, kind: str = JSON, age_s: float = 0, secret: str = SECRET) -> Json:
    """Return the headers under which Slack sends a body; its own library signs it."""
    sent_at = str(int(TIME() / 1000 - age_s))
    signature = SignatureVerifier(secret).generate_signature(timestamp=sent_at, body=body)
    return {
        "content-type": kind,
        "x-slack-request-timestamp": sent_at,
        "x-slack-signature": signature,
    }


def taken(payload: Json) -> Letter:
    body = json.dumps(payload).encode()
    (letter,) = hook().receive(signed(body), body).letters
    return letter


def test_an_event_is_named_by_its_id_within_app_and_workspace() -> None:
    payload = callback("Ev0815", channel="C7")
    letter = taken(payload)
    assert (letter.box, letter.kind, letter.lane) == ("slack-in", "event", "C7")
    assert letter.key == "A1:T1:Ev0815"
    assert (letter.payload, letter.tenant_id) == (payload, "tenant")


def test_an_event_without_a_channel_goes_in_its_workspaces_lane() -> None:
    assert taken(callback(channel=None)).lane == "T1"


def test_a_press_comes_in_a_form_and_is_named_by_who_pressed_what_when() -> None:
    body = form(press("2.0"))
    (letter,) = hook().receive(signed(body, kind=FORM), body).letters
    assert (letter.kind, letter.lane) == ("action", "C1")
    again = form(press("3.0"))
    (other,) = hook().receive(signed(again, kind=f"{FORM}; charset=utf-8"), again).letters
    assert letter.key != other.key


def test_slacks_question_who_is_there_is_answered() -> None:
    body = b'{"type": "url_verification", "challenge": "c", "token": "t"}'
    received = hook().receive(signed(body), body)
    assert received.answer == {"challenge": "c"}
    assert received.letters == ()


BODY = json.dumps(callback()).encode()


def without(name: str) -> Json:
    return {key: value for key, value in signed(BODY).items() if key != name}


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        (signed(BODY, secret="another"), "not that of this app"),
        (signed(BODY + b" "), "not that of this app"),
        (signed(BODY) | {"x-slack-signature": "v0=\xe9"}, "not that of this app"),
        (signed(BODY, age_s=301), "older than five minutes"),
        (signed(BODY, age_s=-301), "older than five minutes"),
        (without("x-slack-signature"), "X-Slack-Signature is missing"),
        (without("x-slack-request-timestamp"), "Timestamp is missing, or no time"),
        (signed(BODY) | {"x-slack-request-timestamp": "soon"}, "no time"),
        (signed(BODY) | {"x-slack-request-timestamp": "-1"}, "no time"),
        (signed(BODY) | {"x-slack-request-timestamp": "9" * 5_000}, "no time"),
        (signed(BODY) | {"x-slack-request-timestamp": "٣"}, "no time"),
    ],
)
def test_what_slack_did_not_sign_just_now_is_refused(headers: Mapping[str, str], says: str) -> None:
    with pytest.raises(NotSigned, match=says):
        hook().receive(headers, BODY)


def test_a_signature_is_good_for_five_minutes() -> None:
    assert hook().receive(signed(BODY, age_s=300), BODY).letters


def test_without_a_secret_nothing_is_taken_and_it_is_said_what_to_set() -> None:
    with pytest.raises(Unavailable, match="set SLACK_SIGNING_SECRET"):
        hook(None).receive(signed(BODY), BODY)


def test_on_a_developers_own_machine_a_secret_is_not_needed_but_holds_if_it_is_set() -> None:
    assert hook(None, unsigned=True).receive({}, BODY).letters
    with pytest.raises(NotSigned):
        hook(unsigned=True).receive({}, BODY)


IGNORED = {
    "no JSON": b"hello",
    "no UTF-8": b"\xff\xfe",
    "nothing": b"",
    "a list": b"[]",
    "no type": b"{}",
    "another type": b'{"type": "app_rate_limited"}',
    "no event": b'{"type": "event_callback", "event_id": "E"}',
    "no event id": b'{"type": "event_callback", "event": {}}',
    "an id of a kilobyte": json.dumps(callback("E" * 1_000)).encode(),
    "a NUL in its id": json.dumps(callback("E\x00")).encode(),
    "too deep": json.dumps(callback(blocks="DEEP"))
    .encode()
    .replace(b'"DEEP"', b"[" * 500 + b"]" * 500),
    "a press of nothing": b'{"type": "block_actions", "actions": []}',
}


@pytest.mark.parametrize("body", IGNORED.values(), ids=IGNORED)
@pytest.mark.parametrize("kind", [JSON, FORM])
def test_what_is_rightly_signed_and_no_letter_is_passed_over(
    body: bytes, kind: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    received = hook().receive(signed_any(body, kind), body)
    assert (received.letters, received.answer) in [((), None), ([], None)]
    assert "slack_ignored" in capsys.readouterr().out + caplog.text


def signed_any(body: bytes, kind: str) -> Json:
    """Sign also what is no text, which Slack's library does not."""
    from nexus.integrations.slack.webhook import signature

    sent_at = str(TIME() // 1000)
    return {
        "content-type": kind,
        "x-slack-request-timestamp": sent_at,
        "x-slack-signature": signature(SECRET, sent_at, body),
    }


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
fields = st.sampled_from(
    ["event", "event_id", "team_id", "actions", "user", "container", "channel"]
)
payloads = st.dictionaries(fields, values | st.dictionaries(fields, values), max_size=6)


@given(payload=payloads, type_=st.sampled_from(["event_callback", "block_actions"]) | values)
def test_nothing_that_is_rightly_signed_breaks_it(payload: Json, type_: object) -> None:
    body = json.dumps({**payload, "type": type_}).encode()
    for letter in hook().receive(signed_any(body, JSON), body).letters:
        assert 0 < len(letter.key) <= 255
        assert len(letter.lane) <= 128
