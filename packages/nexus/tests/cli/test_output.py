"""What results look like: for people, for programs, and through pipes."""

import json

import pytest

from nexus.cli import cells
from nexus.cli.output import Output, clean, one_line

COLUMNS = {"ID": cells.field("id"), "TITLE": cells.field("title")}


def test_control_characters_of_others_do_not_reach_the_terminal() -> None:
    assert clean("a\x1b[31mb\x07c\x9bd\r") == "a\ufffd[31mb\ufffdc\ufffdd\ufffd"
    assert clean("line\n\ttab ✅ é") == "line\n\ttab ✅ é"
    assert one_line(" two\nlines\x1b ") == "two lines\ufffd"


def test_a_table_in_a_pipe_is_neither_wrapped_nor_coloured_nor_padded(
    capsys: pytest.CaptureFixture[str],
) -> None:
    title = "[bold]long[/bold] " * 30
    Output().listing([{"id": "1", "title": title}, {"id": "22", "title": "x"}], COLUMNS)
    out = capsys.readouterr().out
    assert out.splitlines() == ["ID  TITLE", f"1   {title.rstrip()}", "22  x"]


def test_an_empty_table_says_so_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    Output().listing([], COLUMNS)
    assert capsys.readouterr() == ("", "none\n")


def test_json_is_one_document_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    Output(json=True).listing([{"id": "1"}], COLUMNS, hasMore=True)
    out, err = capsys.readouterr()
    assert json.loads(out) == {"items": [{"id": "1"}], "hasMore": True}
    assert err == ""


def test_fields_without_content_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    Output().record({"id": "1", "title": None}, COLUMNS)
    assert capsys.readouterr().out == "ID  1\n"


@pytest.mark.parametrize(
    ("cell", "value", "shown"),
    [
        (cells.priority, 1, "1 urgent"),
        (cells.priority, 9, "9"),
        (cells.priority, None, ""),
        (cells.percent("priority"), 0.255, "26%"),
        (cells.percent("priority"), None, ""),
        (cells.json_value("priority"), {"a": "é"}, '{\n  "a": "é"\n}'),
        (cells.json_value("priority"), "text", "text"),
        (cells.json_value("priority"), {}, ""),
        (cells.json_value("priority"), 0, "0"),
        (cells.field("priority"), ["a", "b"], "a, b"),
        (cells.moment("priority"), "yesterday", "yesterday"),
        (cells.moment("priority"), None, ""),
    ],
)
def test_values_are_shown_as_people_read_them(cell: cells.Cell, value: object, shown: str) -> None:
    assert cell({"priority": value}).plain == shown


def test_times_are_shown_in_the_users_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert cells.local_time("2026-01-31T20:00:00.000Z") == "2026-02-01 05:00:00"
    finally:
        monkeypatch.undo()
        time.tzset()
