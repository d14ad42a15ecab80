"""What a file of tasks may look like, and what is said about one that is wrong."""

import json

import pytest

from nexus.cli.errors import BadUsage
from nexus.cli.importing import Format, Plan, make_plan


def plan_of(text: str | bytes, form: Format = Format.CSV, project: str | None = "web") -> Plan:
    return make_plan(text if isinstance(text, bytes) else text.encode(), form, project)


def mistakes_of(
    text: str | bytes, form: Format = Format.CSV, project: str | None = "web"
) -> list[str]:
    plan = plan_of(text, form, project)
    return [f"{mistake.line}: {mistake.says}" for mistake in plan.mistakes]


def bodies_of(text: str | bytes, form: Format = Format.CSV) -> list[dict[str, object]]:
    plan = plan_of(text, form)
    assert plan.mistakes == []
    return [task.body for task in plan.tasks]


def test_csv_columns_become_the_fields_of_tasks() -> None:
    text = (
        "title,description,priority,requiredCapabilities,maxAttempts,timeoutSeconds,project\n"
        'Fix it,"two\nlines",1,python; ruff,5,60,api\n'
    )
    assert bodies_of(text) == [
        {
            "projectId": "api",
            "title": "Fix it",
            "description": "two\nlines",
            "priority": 1,
            "requiredCapabilities": ["python", "ruff"],
            "maxAttempts": 5,
            "timeoutSeconds": 60,
        }
    ]


def test_empty_csv_cells_are_fields_that_are_not_given() -> None:
    assert bodies_of("title,priority,description\nFix it,,\n") == [
        {"projectId": "web", "title": "Fix it"}
    ]


def test_csv_metadata_comes_as_an_object_and_as_columns_of_its_own() -> None:
    text = 'title,metadata,metadata.branch\nFix it,"{""level"": 2}",main\n'
    assert bodies_of(text)[0]["metadata"] == {"level": 2, "branch": "main"}


@pytest.mark.parametrize("separator", [";", "\t"])
def test_csv_of_spreadsheets_with_other_separators_is_understood(separator: str) -> None:
    text = f"title{separator}priority\nFix it, now{separator}2\n"
    assert bodies_of(text) == [{"projectId": "web", "title": "Fix it, now", "priority": 2}]


def test_a_byte_order_mark_and_windows_line_ends_are_taken_off() -> None:
    text = b"\xef\xbb\xbftitle,priority\r\nFix it,2\r\n"
    assert bodies_of(text) == [{"projectId": "web", "title": "Fix it", "priority": 2}]


def test_json_and_ndjson_say_the_same_as_csv() -> None:
    tasks = [{"title": "One", "priority": 2}, {"title": "Two", "project": "api"}]
    expected = [
        {"projectId": "web", "title": "One", "priority": 2},
        {"projectId": "api", "title": "Two"},
    ]
    lines = "\n\n".join(json.dumps(task) for task in tasks)
    assert bodies_of(json.dumps(tasks), Format.JSON) == expected
    assert bodies_of(lines, Format.NDJSON) == expected


def test_an_empty_json_array_has_no_tasks_and_no_mistakes() -> None:
    assert plan_of(" [ ] ", Format.JSON) == Plan()


def test_every_mistake_is_found_with_its_line() -> None:
    text = 'title,priority,colour\nGood,1,\nBad,9,\n"also\nbad",1,red\n,2,\nGood,2,,extra\n'
    assert mistakes_of(text) == [
        "3: priority: Input should be less than or equal to 4",
        "4: colour: is no field of a task",
        "6: title: is missing",
        "7: 4 cells, but 3 columns; quote cells with separators",
    ]


def test_json_mistakes_tell_the_line_of_their_task() -> None:
    text = '[\n  {"title": "Good"},\n  {\n    "title": "Bad",\n    "priority": 0\n  },\n  7\n]'
    assert mistakes_of(text, Format.JSON) == [
        "3: priority: Input should be greater than or equal to 1",
        "7: a task is an object, not 7",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"title": "x"}', "1: expected [, the start of an array of tasks (is it NDJSON?)"),
        ('[\n{"title": "x"}\n{"title": "y"}]', "3: expected , or ] after a task"),
        ('[\n{"title": "x"},\n]', "3: Expecting value"),
        ('[\n{"title": "x"}', "2: expected , or ] after a task"),
        ("[]\n\nmore", "3: there is more after the end of the array"),
        ('[{"title": "x", "metadata": {"n": NaN}}]', "1: NaN is no JSON value"),
        ("[" * 100_000, "1: nested too deep"),
    ],
)
def test_broken_json_is_explained_by_line(text: str, says: str) -> None:
    assert says in mistakes_of(text, Format.JSON)


def test_broken_lines_of_ndjson_leave_the_others_alone() -> None:
    text = '{"title": "One"}\n{"title": \n[1]\n{"title": "Four"}\n'
    plan = plan_of(text, Format.NDJSON)
    assert [task.line for task in plan.tasks] == [1, 4]
    assert [mistake.line for mistake in plan.mistakes] == [2, 3]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,priority\nx,1\n", "1: there is no column title; the first line names the columns"),
        ("title,title\nx,y\n", "1: the column 'title' is there twice"),
        ('title\n"never closed\n', "2: not CSV: unexpected end of data"),
        ("title,metadata\nx,[]\n", "2: metadata: must be a JSON object"),
        ("title,metadata\nx,{\n", "2: metadata: no JSON: "),
        ("title,priority\nx,high\n", "2: priority: Input should be a valid integer"),
    ],
)
def test_broken_csv_is_explained_by_line(text: str, says: str) -> None:
    assert any(found.startswith(says) for found in mistakes_of(text)), mistakes_of(text)


def test_what_the_server_would_refuse_is_refused_before_anything_is_sent() -> None:
    rows = [
        {"title": "x" * 501},
        {"title": "nul", "metadata": {"a": ["\x00"]}},
        {"title": "big", "metadata": {"a": "x" * 1_100_000}},
        {"title": "half a pair", "metadata": {"a": "\ud800"}},
        {"title": "endless", "metadata": {"a": 1e999}},
        {"title": ["no text"]},
        {"title": "fine"},
    ]
    plan = plan_of("\n".join(json.dumps(row) for row in rows), Format.NDJSON)
    assert [mistake.line for mistake in plan.mistakes] == [1, 2, 3, 4, 5, 6]


def test_a_task_without_any_project_is_a_mistake() -> None:
    assert mistakes_of("title\nFix it\n", project=None) == ["2: projectId: is missing"]


def test_a_file_that_is_not_utf8_is_refused_with_its_line() -> None:
    with pytest.raises(BadUsage, match="line 2 is not UTF-8"):
        plan_of("title\nGrün\n".encode("latin-1"))


def test_equal_rows_are_different_tasks_and_the_same_file_has_the_same_keys() -> None:
    text = "title\nsame\nsame\n"
    keys = [task.key for task in plan_of(text).tasks]
    assert len(set(keys)) == 2
    assert [task.key for task in plan_of(text).tasks] == keys


def test_another_project_or_another_file_has_other_keys() -> None:
    text = "title\nsame\n"
    first, other_project = plan_of(text), plan_of(text, project="api")
    other_file = plan_of(text + "more\n")
    assert len({plan.tasks[0].key for plan in (first, other_project, other_file)}) == 3
