"""What goes to Slack calls nobody by accident, fits, and is all there."""

import re

from hypothesis import given
from hypothesis import strategies as st

from nexus.integrations.slack.rendering import (
    Part,
    choices,
    escape,
    link,
    message_parts,
    neutral,
    person,
    shortened,
)

CALLS = (
    "<!channel>",
    "<!here>",
    "<!everyone>",
    "<!here|here>",
    "<@everyone>",
    "<!subteam^S012|@ops>",
)
PINGS = re.compile(
    r"<[!@](channel|here|everyone|group)|<!subteam\^|(?<![\w@])@(channel|here|everyone)\b",
    re.IGNORECASE,
)
PROSE = st.text(alphabet="ab<>&!@|^*_# \n", max_size=200)
WILD = st.lists(st.one_of(PROSE, st.text(), st.sampled_from(CALLS)), max_size=6).map("".join)
FENCE = re.compile(r" {0,3}(?:`{3,}|~{3,})[^\n]*")
LINES = st.lists(st.text(alphabet="xyz =", min_size=1).map(lambda text: (text * 60)[:60]))
CODE = st.builds(
    "{0}{1}\n{2}\n{0}\n".format,
    st.sampled_from(["```", "~~~", "`" * 20]),
    st.sampled_from(["", "python", " sql"]),
    LINES.map(lambda lines: "\n".join(lines * 4)),
)
WORDS = st.lists(st.sampled_from(["a ", "word ", "line\n", "end\n\n", "    "]), min_size=1)
PARAGRAPHS = st.lists(st.one_of(CODE, WORDS.map("".join)), max_size=8)
LIMITS = st.integers(200, 300)


def markdown(part: Part) -> str:
    text: str = part.blocks[0]["text"]
    return text


def test_what_has_a_meaning_for_slack_is_escaped() -> None:
    assert escape("a < b && c > d") == "a &lt; b &amp;&amp; c &gt; d"


def test_a_call_to_everybody_stays_readable_and_calls_nobody() -> None:
    said = neutral("ask <!here>, <!subteam^S1|@ops> and @Channel, <@everyone|all>")
    assert not PINGS.search(said)
    assert said.replace("\u200b", "") == "ask @here, @ops and @Channel, @everyone"
    assert not PINGS.search(neutral("<!here without an end"))


def test_names_and_addresses_that_only_look_like_calls_are_left_alone() -> None:
    for text in (
        "ada@here.example",
        "@channels",
        "<@U012AB3CD>",
        "<!date^1^{date}|then>",
        "@hereby",
    ):
        assert neutral(text) == text


@given(WILD)
def test_no_text_whatsoever_calls_everybody(text: str) -> None:
    assert not PINGS.search(neutral(text))
    for part in message_parts(text or " "):
        assert not PINGS.search(markdown(part))
        assert not re.search(r"<(?![@#!]?\u200b)", part.text), "the fallback has markup"


@given(WILD)
def test_to_defuse_twice_changes_nothing(text: str) -> None:
    assert neutral(neutral(text)) == neutral(text)


def test_a_text_that_was_shortened_says_so() -> None:
    assert shortened("a long story", 8) == "a long…"
    assert shortened("short", 5) == "short"


def test_a_link_cannot_be_broken_out_of() -> None:
    assert (
        link("https://n.example/a?b&c", "x <y>\nz") == "<https://n.example/a?b&amp;c|x &lt;y&gt; z>"
    )
    for url in ("javascript:alert(1)", "https://n.example/>evil", "https://n.example/a|b", None):
        assert link(url, "x") == "x"


def test_a_name_is_no_markup_and_a_mention_is_one() -> None:
    assert person("<!here>") == "@\u200bhere"
    assert person("A <b> & c") == "A &lt;b&gt; &amp; c"
    assert person("<@U024BE7LH>") == "<@U024BE7LH>"


def test_a_short_message_is_one_markdown_block() -> None:
    (part,) = message_parts("**Done**: see [the page](https://x.example) & go on")
    assert part.blocks == [
        {"type": "markdown", "text": "**Done**: see [the page](https://x.example) & go on"}
    ]
    assert part.text == "Done: see the page (https://x.example) &amp; go on"


def test_a_long_message_goes_on_in_the_next_between_paragraphs() -> None:
    paragraph = "word " * 1000 + "\n\n"
    parts = message_parts(paragraph * 6)
    assert [markdown(part) for part in parts] == [paragraph * 2] * 3


@given(WORDS, st.integers(40, 90), LIMITS)
def test_cut_text_is_the_same_text(words: list[str], times: int, limit: int) -> None:
    text = "".join(["begin ", *words, "end"] * times)
    pieces = [markdown(part) for part in message_parts(text, limit=limit)]
    assert "".join(pieces) == text
    assert all(len(piece) <= limit for piece in pieces)


@given(PARAGRAPHS, LIMITS)
def test_code_that_is_cut_is_closed_and_opened_again_and_nothing_is_lost(
    paragraphs: list[str], limit: int
) -> None:
    text = "\n".join(paragraphs)
    pieces = [markdown(part) for part in message_parts(text, limit=limit)]
    kept = [line for piece in pieces for line in piece.split("\n") if not FENCE.fullmatch(line)]
    meant = [line for line in text.split("\n") if not FENCE.fullmatch(line)]
    if text.strip():
        assert "".join("".join(kept).split()) == "".join("".join(meant).split())
    for piece in pieces:
        assert len(piece) <= limit
        assert is_balanced(piece)


def is_balanced(piece: str) -> bool:
    """Say whether every block of code that a piece opens is closed in it."""
    marker = None
    for line in piece.split("\n"):
        if marker is None and (opening := re.match(r"`{3,}|~{3,}", line)):
            marker = opening[0]
        elif marker is not None and line.rstrip() == marker:
            marker = None
    return marker is None


def test_code_is_opened_again_in_its_language() -> None:
    code = "```python\n" + "x = 1\n" * 3000 + "```\n"
    first, second = (markdown(part) for part in message_parts(code))
    assert first.endswith("x = 1\n```")
    assert second.startswith("```python\nx = 1\n")


@given(st.text(alphabet="<&ab `#", max_size=30), st.integers(1, 400))
def test_a_fallback_is_short_and_says_something(text: str, times: int) -> None:
    for part in message_parts(text * times):
        assert 0 < len(part.text) <= 3000


def test_buttons_that_leave_no_room_get_a_message_of_their_own() -> None:
    row = choices("q1", ["x" * 200] * 25)
    short = message_parts("Which?", then=row)
    assert [block["type"] for block in short[-1].blocks[:1]] == ["markdown"]
    long = message_parts("word " * 2200, then=row)
    assert len(long) == 2
    assert long[-1].blocks == row
