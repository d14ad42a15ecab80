"""Where a file of tasks is checked as a whole, before anything of it is sent."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from nexus.api.bodies import parse_json
from nexus.api.limits import MAX_BODY_BYTES
from nexus.cli.errors import BadUsage
from nexus.cli.importing._csv import read_csv
from nexus.cli.importing._json import explain, read_json, read_ndjson
from nexus.cli.importing._rows import Mistake, Parsed, Row
from nexus.domain.errors import NexusError
from nexus.services.tasks import CreateTask


class Format(StrEnum):
    """How a file of tasks is written."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


SUFFIXES = {
    ".json": Format.JSON,
    ".ndjson": Format.NDJSON,
    ".jsonl": Format.NDJSON,
    ".csv": Format.CSV,
}
_READERS: Mapping[Format, Callable[[str], Iterator[Parsed]]] = {
    Format.JSON: read_json,
    Format.NDJSON: read_ndjson,
    Format.CSV: read_csv,
}


@dataclass(frozen=True, kw_only=True)
class PlannedTask:
    """A task to make: the line it comes from, what is sent, and the key that makes it once."""

    line: int
    project_id: str
    body: dict[str, Any]
    key: str


@dataclass(kw_only=True)
class Plan:
    """What a file asks for, and what is wrong with it."""

    tasks: list[PlannedTask] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)


def make_plan(content: bytes, form: Format, project: str | None) -> Plan:
    """Return the tasks of a file with all its mistakes; ``project`` is for rows that name none.

    A task's key is made of the whole file, of what is sent and of its place in the file: the same
    file sent again makes nothing twice, and two equal rows are two tasks.

    Raises:
        BadUsage: the file is not UTF-8.
    """
    plan = Plan()
    file_hash = hashlib.sha256(content).hexdigest()
    for number, parsed in enumerate(_READERS[form](_decode(content))):
        checked = parsed if isinstance(parsed, Mistake) else _check(parsed, project)
        if isinstance(checked, Mistake):
            plan.mistakes.append(checked)
        else:
            plan.tasks.append(_planned(parsed.line, checked, f"{file_hash} {number} "))
    return plan


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadUsage(f"line {line} is not UTF-8; save the file as UTF-8") from error


def _check(row: Row, project: str | None) -> CreateTask | Mistake:
    """Check a row by the server's own rules."""
    values = dict(row.values)
    if "project" in values:
        values["projectId"] = values.pop("project")
    if project is not None and "project_id" not in values:
        values.setdefault("projectId", project)
    try:
        task = CreateTask.model_validate(values)
        encoded = _encode(_body(task))
        parse_json(encoded)
    except ValidationError as error:
        return Mistake(line=row.line, says=_explain(error))
    except NexusError as error:
        return Mistake(line=row.line, says=error.message)
    except UnicodeEncodeError:
        return Mistake(line=row.line, says="it has characters that no UTF-8 text has")
    except RecursionError as error:
        return Mistake(line=row.line, says=explain(error))
    if len(encoded) > MAX_BODY_BYTES:
        return Mistake(line=row.line, says=f"the task is larger than {MAX_BODY_BYTES} bytes")
    return task


def _explain(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, found['loc']))}: {_message(found['type'], found['msg'])}"
        for found in error.errors(include_url=False, include_input=False)
    )


def _message(kind: str, message: str) -> str:
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is no field of a task"
    return message.removeprefix("Value error, ")


def _planned(line: int, task: CreateTask, salt: str) -> PlannedTask:
    body = _body(task)
    key = hashlib.sha256(salt.encode() + _encode(body)).hexdigest()
    return PlannedTask(line=line, project_id=task.project_id, body=body, key=f"import-{key}")


def _body(task: CreateTask) -> dict[str, Any]:
    return task.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _encode(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, sort_keys=True).encode()
