"""Every code block of the README and the documentation runs, in the order of its page.

A page is followed as a reader follows it: in an empty folder, with a shell per terminal, files
saved under their names, programs as processes, against a real Nexus. Only the port, the agent's
secret and what stands in ``NOT_RUN`` are different.
"""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from pydantic import BaseModel

import oblivion.protocol
from code_blocks import CodeBlock, code_blocks
from docs_fragments import Fragments
from docs_nexus import nexus_command
from docs_slack import conversation
from docs_terminals import Desk, Given, desk, title_of
from live_nexus import live_nexus
from nexus.services import resources
from nexus.services.agents import CreateAgent
from nexus.services.registration import RegisterAgent
from nexus.services.registration_tokens import CreateToken
from nexus.services.tasks import CreateTask
from oblivion.protocol import AgentReady, ConnectedPayload, EventType, TaskAssignedPayload

ROOT = Path(__file__).parents[1]
SEED = ROOT / "tests" / "seed" / "python-sdk-quickstart.md"
QUICKSTART = ROOT / "docs" / "quickstart.md"
SLACK = ROOT / "docs" / "slack.md"
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "packages").glob("*/README.md")),
    ROOT / "packages" / "sdk-python" / "examples" / "README.md",
]

_FETCHES = "fetches from GitHub, which tests do not"
_NEEDS_SLACK = "needs a workspace in Slack, which only the page on Slack has here"
_REBUILDS = "would rebuild the environment that the tests run in"
NOT_RUN = {
    "git clone https://github.com/itamarmarom/Oblivion.git": _FETCHES,
    "cd Oblivion": "there is no clone to enter; the repository is here already",
    "make demo": "has tests of its own",
    "nexus demo --agents 3": "has tests of its own",
    "nexus slack doctor": _NEEDS_SLACK,
    "nexus slack link web '#our-website'": _NEEDS_SLACK,
    "nexus slack invite web ada@example.com bob@example.com": _NEEDS_SLACK,
    "nexus slack resume deployer": _NEEDS_SLACK,
    "cd packages/sdk-python": "the desk is not the repository",
    "uv sync": _REBUILDS,
    "uv run pytest": _REBUILDS,
    "uv run pytest tests/test_client.py": _REBUILDS,
    "uv run pytest --cov=oblivion --cov-report=html": _REBUILDS,
    "uv add git+https://github.com/itamarmarom/Oblivion.git#subdirectory=packages/sdk-python": (
        _FETCHES
    ),
}
"""Lines that are not typed, each with the reason."""

STAYS = {
    "nexus serve": "Ctrl-C stops it.",
    "nexus serve --data-dir ./nexus-data": "Ctrl-C stops it.",
    "nexus serve --data-dir ./try-out": "Ctrl-C stops it.",
    "nexus tail --since 0": "task done",
    "python traced_nexus.py serve": "Ctrl-C stops it.",
    "python agent.py": "Agent connected and ready!",
    "python newcomer.py": "newcomer is registered",
    "python deployer.py": "deployer is ready",
    "python slack_stand_in.py": "a Slack is ready",
    "python stand_in.py": "a GitHub is ready",
    "python ask.py v3": "may use deploy rollback",
    "python packages/sdk-python/examples/simple_agent.py": "Connected! Agent ID",
    "oblivion run my_agent:client": "my-agent is ready",
}
"""Commands that go on until Ctrl-C, each with what it prints once it is at work."""

NOT_PROGRAMS = {
    "bash",
    "console",
    "csv",
    "dockerfile",
    "ini",
    "json",
    "python",
    "text",
    "toml",
    "yaml",
}


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def commands() -> Iterator[Path]:
    """A folder with a quick ``nexus``; its socket's address must be short."""
    with TemporaryDirectory(prefix="nexus-") as folder, nexus_command(Path(folder)) as commands:
        yield commands


@pytest.mark.parametrize("page", PAGES, ids=named)
async def test_following_a_page_works_from_its_first_block_to_its_last(
    page: Path, tmp_path: Path, commands: Path
) -> None:
    blocks = [block for block in code_blocks(page) if is_followed(page, block)]
    async with contextlib.AsyncExitStack() as stack:
        slack = await stack.enter_async_context(conversation()) if page == SLACK else None
        given = Given() if slack is None else slack.given
        place = await stack.enter_async_context(desk(tmp_path / "reader", commands, given))
        (place.folder / "packages").symlink_to(ROOT / "packages")
        if blocks and not any(re.search(r"nexus(\.py)? serve", typed(block)) for block in blocks):
            data_dir, port = place.folder / "nexus-data", place.port
            await stack.enter_async_context(live_nexus(data_dir, port=port))
        fragments = Fragments(place)
        for block in blocks:
            if slack is not None and is_conversation(block):
                await slack.play(block)
            else:
                await follow(place, fragments, block)


def is_followed(page: Path, block: CodeBlock) -> bool:
    """Python of the quickstart has a test of its own; JSON is read, not run."""
    if page == QUICKSTART and block.language == "python":
        return False
    followed = is_file(block) or is_conversation(block) or block.language == "python"
    return followed or bool(typed(block))


def is_conversation(block: CodeBlock) -> bool:
    """Say whether a block shows what is said in a channel of Slack."""
    return block.language == "text" and (title_of(block) or "").startswith("#")


def is_file(block: CodeBlock) -> bool:
    """Say whether the page names a file that the reader saves."""
    return re.fullmatch(r"\w+\.\w+", title_of(block) or "") is not None


def typed(block: CodeBlock) -> str:
    """Return the commands of a block, without those that are not run here."""
    if block.language not in {"bash", "console"}:
        return ""
    lines = block.text.splitlines()
    if block.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    left_out = {
        line for line, why in NOT_RUN.items() if block.page != str(SLACK) or why != _NEEDS_SLACK
    }
    run = [line for line in lines if line.partition("  #")[0].strip() not in {*left_out, ""}]
    return "\n".join(line for line in run if not line.startswith("#"))


async def follow(place: Desk, fragments: Fragments, block: CodeBlock) -> None:
    if is_file(block):
        place.save(title_of(block) or "", block.text)
    elif block.language == "python":
        await fragments.run(block)
    elif block.language == "console":
        for command, promised in dialogue(block):
            said = await place.type(block, f"{command} || true")
            assert plain(said) == plain(promised), f"{block.page}:{block.line}: {command}"
    else:
        commands = typed(block)
        await place.type(block, commands, until=STAYS.get(commands.splitlines()[-1]))


def dialogue(block: CodeBlock) -> Iterator[tuple[str, str]]:
    """Yield each command of a ``console`` block with what it is said to print."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, promised = part.partition("\n")
        yield command, promised


def plain(output: str) -> list[str]:
    """Return output without what differs from day to day: ids, moments, the width of columns."""
    output = re.sub(r"\b01[0-9a-hjkmnp-tv-z]{16}\b", "<id>", output)
    output = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<moment>", output)
    return [" ".join(line.split()) for line in output.splitlines()]


def test_every_block_names_its_language_and_stands_at_the_margin() -> None:
    for page in PAGES:
        fences = re.findall(r"^( *)```(\w*)", page.read_text(), re.MULTILINE)
        opening = fences[::2]
        assert {language for _, language in opening} <= NOT_PROGRAMS, named(page)
        assert not any(indent for indent, _ in fences), named(page)


def test_every_line_that_is_not_run_stands_on_a_page() -> None:
    text = "\n".join(block.text for page in PAGES for block in code_blocks(page, "bash"))
    assert [line for line in [*NOT_RUN, *STAYS] if line not in text] == []


def test_every_file_of_a_page_is_used_by_a_command_or_another_file() -> None:
    for page in PAGES:
        blocks = code_blocks(page)
        for block in filter(is_file, blocks):
            name = title_of(block) or ""
            others = "\n".join(other.text for other in blocks if other != block)
            stem = Path(name).stem
            used = any(way in others for way in (name, f"from {stem} import", f"run {stem}:"))
            assert used or name in {"conftest.py", "pytest.ini"}, f"{block.page}:{block.line}"


def test_the_quickstart_is_the_users_own_document_but_for_its_links() -> None:
    def without_targets(page: Path) -> str:
        return re.sub(r"\]\([^)]*\)", "]()", page.read_text())

    assert without_targets(QUICKSTART) == without_targets(SEED)
    assert code_blocks(QUICKSTART) == [
        CodeBlock(
            page=str(QUICKSTART),
            line=block.line,
            language=block.language,
            info=block.info,
            text=block.text,
        )
        for block in code_blocks(SEED)
    ]


JSON_BLOCKS = [block for page in PAGES for block in code_blocks(page, "json")]

SHOWN: dict[str, type[BaseModel]] = {
    "POST /auth/register": RegisterAgent,
    "POST /observer/agents": CreateAgent,
    "POST /observer/registration-tokens": CreateToken,
    "POST /observer/tasks": CreateTask,
    EventType.AGENT_READY: AgentReady,
    EventType.CONNECTED: ConnectedPayload,
    EventType.TASK_ASSIGNED: TaskAssignedPayload,
}


@pytest.mark.parametrize("block", JSON_BLOCKS, ids=title_of)
def test_every_json_block_is_what_its_title_says(block: CodeBlock) -> None:
    shown: dict[str, Any] = json.loads(block.text)
    model = model_called(title_of(block) or "")
    if shown.get("type") in [*EventType]:
        assert set(shown) <= names_of(oblivion.protocol.Envelope)
        shown = shown["payload"]
        model = SHOWN.get(title_of(block) or "", oblivion.protocol.TaskUpdate)
    model.model_validate(shown)
    assert set(shown) <= names_of(model)


def model_called(title: str) -> type[BaseModel]:
    found = SHOWN.get(title) or getattr(oblivion.protocol, title, None)
    model: type[BaseModel] = found or getattr(resources, title)
    return model


def names_of(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


@pytest.mark.parametrize(
    "page", [*ROOT.glob("*.md"), *ROOT.glob("packages/*/README.md")], ids=named
)
def test_the_links_of_pages_outside_of_the_site_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []
