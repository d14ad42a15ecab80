"""How a new author begins: ``oblivion new my-agent``, and everything is green."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from oblivion._cli import main

ROOT = Path(__file__).parents[4]
PATIENCE_S = 120


def run(command: Sequence[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as somebody who has nothing set."""
    kept = {"HOME", "LANG", "SSL_CERT_FILE", "TMPDIR"}
    given = {
        name: text for name, text in os.environ.items() if name in kept or name.startswith("UV_")
    }
    given["PATH"] = os.environ["PATH"]
    return subprocess.run(
        [str(word) for word in command],
        check=False,
        cwd=folder,
        env=given,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


def see_it_green(python: Path, project: Path) -> None:
    tests = run([python, "-W", "error", "-m", "pytest", "-q"], project)
    assert (tests.returncode, "3 passed" in tests.stdout) == (0, True), tests.stdout + tests.stderr
    for command in (["mypy", "."], ["ruff", "check"], ["ruff", "format", "--check"]):
        ran = run([python, "-m", *command], project)
        assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.timeout(180)
def test_a_new_project_is_green_at_once(tmp_path: Path) -> None:
    made = run([sys.executable, "-m", "oblivion", "new", "my-agent"], tmp_path)
    assert (made.returncode, made.stderr) == (0, "")
    assert "cd my-agent" in made.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["my-agent"], "nothing else is left"
    see_it_green(Path(sys.executable), tmp_path / "my-agent")
    text = "".join(path.read_text() for path in (tmp_path / "my-agent").iterdir() if path.is_file())
    assert "$" not in text, "every blank is filled in"


@pytest.mark.soak
def test_a_new_user_has_it_green_in_an_environment_of_their_own(tmp_path: Path) -> None:
    """With the SDK from its wheel, and nothing of this repository."""
    uv = shutil.which("uv") or ROOT / ".tools" / "bin" / "uv"
    sdk, dist, venv = ROOT / "packages" / "sdk-python", tmp_path / "dist", tmp_path / "venv"
    cut = ["--exclude-newer", "2026-11-20"]
    for command in (
        [uv, "build", "--wheel", "--out-dir", dist, *cut, sdk],
        [uv, "venv", "--python", sys.executable, venv],
    ):
        ran = run(command, tmp_path)
        assert ran.returncode == 0, ran.stderr
    (wheel,) = dist.glob("*.whl")
    python = venv / "bin" / "python"
    install = [uv, "pip", "install", "--python", python, *cut, f"{wheel}[testing]", "mypy", "ruff"]
    ran = run(install, tmp_path)
    assert ran.returncode == 0, ran.stderr
    home = tmp_path / "home"
    home.mkdir()
    made = run([venv / "bin" / "oblivion", "new", "my-agent"], home)
    assert made.returncode == 0, made.stderr
    see_it_green(python, home / "my-agent")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("My-Agent", "take small letters"),
        ("my agent", "take small letters"),
        ("../my-agent", "take small letters"),
        ("9lives", "beginning with a letter"),
        ("my--agent", "single hyphens"),
        ("a" * 65, "take small letters"),
        ("", "such as my-agent"),
        ("json", "would hide Python's own json: take another, such as my-json"),
        ("class", "would hide Python's own class"),
        ("oblivion", "would hide"),
    ],
)
def test_a_name_that_does_not_do_is_told_why(
    name: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert main(["new", name]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_left_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-agent").mkdir()
    assert main(["new", "my-agent"]) == 2
    assert "my-agent is there already" in capsys.readouterr().err
    assert list((tmp_path / "my-agent").iterdir()) == []


def test_a_folder_that_nobody_may_write_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main(["new", "my-agent"]) == 2
    assert capsys.readouterr().err.startswith("oblivion: cannot write ./.oblivion-new-")
