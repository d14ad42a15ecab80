"""What people write in Slack is read as they see it there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.integrations.slack.reading import (
    mentions_app,
    plain,
    title_and_description,
    user_ids,
)
from nexus.integrations.slack.rendering import escape

APP = "U0APP"
NAMES = {"U1": "Ada Lovelace"}
MARKUP = st.lists(
    st.one_of(st.text(max_size=20), st.text(alphabet="<>@#!|^&;lgtamp:/UC1 ", max_size=30)),
    max_size=8,
).map("".join)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("hello <@U1>", "hello @Ada Lovelace"),
        ("<@U0APP> do it", "@oblivion do it"),
        ("<@U9|bob> and <@U8>", "@bob and @U8"),
        ("see <#C1|general>, <#C2>", "see #general, #C2"),
        ("<https://x.example/a?b=1&amp;c=2>", "https://x.example/a?b=1&c=2"),
        ("<https://x.example|the page>", "the page (https://x.example)"),
        ("<http://x.example|x.example>", "x.example"),
        ("<mailto:a@x.example|a@x.example>", "a@x.example"),
        ("<!here> <!channel> <!everyone|x>", "@here @channel @everyone"),
        ("<!subteam^S1|@ops> <!subteam^S2>", "@ops @S2"),
        ("<!date^1392734382^{date}|Feb 18>", "Feb 18"),
        ("1 &lt; 2 &amp;&amp; 3 &gt; 2, &amp;lt;", "1 < 2 && 3 > 2, &lt;"),
        ("if a &lt;@U1&gt; b", "if a <@U1> b"),
        ("open <@U1 and <>", "open <@U1 and <>"),
        ("nul \x00 and \ud800", "nul \ufffd and \ufffd"),
    ],
)
def test_markup_is_read_as_people_see_it(written: str, read: str) -> None:
    assert plain(written, NAMES, APP) == read


@given(MARKUP)
def test_whatever_comes_is_read_and_can_be_stored(text: str) -> None:
    read = plain(text, NAMES, APP)
    read.encode()
    assert "\x00" not in read
    title, description = title_and_description(read)
    assert len(title) <= 500
    assert "\n" not in title
    assert bool(title) == bool(description)
    assert isinstance(mentions_app(text, APP), bool)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
def test_what_was_escaped_is_read_as_it_was(text: str) -> None:
    assert plain(escape(text), {}, APP) == text


def test_mentions_are_found_once_each_in_order() -> None:
    text = "<@U2> <@U1|ada> <@U2> &lt;@U3&gt;"
    assert user_ids(text) == ("U2", "U1")
    assert mentions_app(f"<@{APP}>: hi", APP)
    assert not mentions_app(text, APP)


def test_the_first_line_is_the_title_and_all_is_in_the_description() -> None:
    text = "@oblivion: Fix the login\nIt fails.\n    code"
    assert title_and_description(text) == (
        "Fix the login",
        "Fix the login\nIt fails.\n    code",
    )
    assert title_and_description("please @oblivion fix it") == ("please fix it", "please fix it")


def test_a_mention_on_a_line_of_its_own_is_no_title() -> None:
    assert title_and_description("@oblivion\n\nFix the login")[0] == "Fix the login"


def test_a_long_first_line_is_cut_visibly_and_kept_whole_in_the_description() -> None:
    text = "word " * 200
    title, description = title_and_description(f"@oblivion {text}")
    assert len(title) <= 500
    assert title.endswith("…")
    assert description == text.strip()


def test_a_mention_alone_asks_for_nothing() -> None:
    assert title_and_description("@oblivion") == ("", "")


def test_a_name_that_only_begins_like_the_app_stays() -> None:
    assert title_and_description("@oblivion-dev look") == ("@oblivion-dev look",) * 2
