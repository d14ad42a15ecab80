"""What a connection does next, decided without a socket and without a clock."""

from nexus.gateway import codec
from nexus.gateway.conversation import Admit, Conversation, HangUp, Patience, Say
from nexus.gateway.frames import CloseCode

PATIENCE = Patience(connect_s=10, ping_s=25)


def talk(*, inside: bool = False) -> Conversation:
    conversation = Conversation("/agents", PATIENCE, now=100.0)
    if inside:
        assert isinstance(conversation.receive(b"40/agents,{}"), Admit)
        conversation.let_in("s")
    return conversation


def code_of(step: object) -> CloseCode:
    assert isinstance(step, HangUp)
    return step.code


def test_who_has_not_asked_in_is_hung_up_on_when_the_time_is_over() -> None:
    conversation = talk()
    assert conversation.due == 110.0
    assert code_of(conversation.tick(110.0)) is CloseCode.POLICY_VIOLATION


def test_who_has_asked_in_in_time_may_wait_for_the_answer() -> None:
    conversation = talk()
    assert conversation.receive(b'40/agents,{"token":"t"}') == Admit(auth={"token": "t"})
    assert conversation.tick(110.0) == Say(packet=codec.PING)


def test_who_was_turned_away_may_ask_again_but_has_no_more_time() -> None:
    conversation = talk()
    conversation.receive(b"40/agents,{}")
    assert conversation.turn_away({"message": "no"}) == b'44/agents,{"message":"no"}'
    assert isinstance(conversation.receive(b"40/agents,{}"), Admit)
    conversation.turn_away({"message": "no"})
    assert code_of(conversation.tick(110.0)) is CloseCode.POLICY_VIOLATION


def test_pings_are_sent_as_long_as_they_are_answered() -> None:
    conversation = talk(inside=True)
    now = conversation.due
    for _ in range(3):
        assert conversation.tick(now) == Say(packet=codec.PING)
        assert conversation.due == now + 25
        assert conversation.receive(b"3") is None
        now = conversation.due
    assert conversation.tick(now) == Say(packet=codec.PING)
    assert code_of(conversation.tick(conversation.due)) is CloseCode.GOING_AWAY


def test_events_are_calls_once_inside_and_an_offence_before() -> None:
    event = b'42/agents,7["note",{"n":1}]'
    assert code_of(talk().receive(event)) is CloseCode.POLICY_VIOLATION
    called = codec.Event(namespace="/agents", name="note", args=[{"n": 1}], id=7)
    assert talk(inside=True).receive(event) == called


def test_events_to_another_namespace_are_an_offence() -> None:
    step = talk(inside=True).receive(b'42["note"]')
    assert code_of(step) is CloseCode.POLICY_VIOLATION


def test_asking_in_while_asking_or_inside_is_an_offence() -> None:
    asking = talk()
    asking.receive(b"40/agents,{}")
    assert code_of(asking.receive(b"40/agents,{}")) is CloseCode.POLICY_VIOLATION
    assert code_of(talk(inside=True).receive(b"40/agents,{}")) is CloseCode.POLICY_VIOLATION


def test_leaving_ends_the_connection_in_peace() -> None:
    for packet in (b"41/agents,", b"1"):
        assert code_of(talk(inside=True).receive(packet)) is CloseCode.NORMAL


def test_noops_and_acknowledgements_of_nothing_are_passed_over() -> None:
    for packet in (b"6", b"43/agents,1[]"):
        assert talk(inside=True).receive(packet) is None
