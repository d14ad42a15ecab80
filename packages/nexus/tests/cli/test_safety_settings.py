"""Settings come from options, environment and file; what is wrong is told by name."""

from pathlib import Path
from typing import Any

import pytest

from command_line import CommandLine, Outcome, ServerProcess
from nexus.domain.strength import SHORTEST_KEY, weakness
from nexus.settings import Settings, SettingsError, load_settings

STRONG = "3f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c"


@pytest.fixture(autouse=True)
def somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no settings of this machine meddle."""
    monkeypatch.chdir(tmp_path)
    for name in ("PORT", "DATABASE_URL", "JWT_SECRET", "LOG_LEVEL", "NEXUS_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_options_win_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "nexus.toml", 'port = 1\nhost = "file"\nlog_level = "error"\n')
    monkeypatch.setenv("PORT", "2")
    monkeypatch.setenv("NEXUS_HOST", "environment")

    found = load_settings(port=3)

    assert (found.port, found.host, found.log_level) == (3, "environment", "error")
    assert load_settings().port == 2


def test_a_file_is_named_by_option_or_variable_or_lies_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = write(tmp_path / "named.toml", "port = 7")
    assert load_settings().port == 3000
    monkeypatch.setenv("NEXUS_CONFIG", str(write(tmp_path / "variable.toml", "port = 8")))
    assert load_settings().port == 8
    assert load_settings(config=named).port == 7


def test_names_that_teams_already_have_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"PORT": "4", "DATABASE_URL": "postgresql://x/y", "JWT_SECRET": STRONG}
    for name, value in (given | {"LOG_LEVEL": "WARNING"}).items():
        monkeypatch.setenv(name, value)

    found = load_settings()

    assert (found.port, found.log_level) == (4, "warning")
    assert found.database == "postgresql://x/y"
    assert found.jwt_secret is not None
    assert found.jwt_secret.get_secret_value() == STRONG


def test_secrets_may_be_files_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "nexus_jwt_secret", STRONG + "\n")
    monkeypatch.setenv("NEXUS_SECRETS_DIR", str(tmp_path))

    found = load_settings().jwt_secret

    assert found is not None
    assert found.get_secret_value() == STRONG
    monkeypatch.setenv("NEXUS_SECRETS_DIR", "nowhere")
    with pytest.raises(SettingsError, match="NEXUS_SECRETS_DIR: there is no folder nowhere"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", "nexus.toml: there is no setting 'prot'; did you mean 'port'?"),
        ("NEXUS_PORT = 1", "there is no setting 'NEXUS_PORT'; did you mean 'port'?"),
        ("datadir = 'x'", "did you mean 'data_dir'?"),
        ("zzzzzz = 1", "there are: admin_client_id, "),
        ("[nexus]\nport = 1", "there is no setting 'nexus'"),
        ("port =", "is no valid TOML"),
        ("port = 'many'", "setting port: "),
        ("cors_origins = ['*']", "setting cors_origins: '*' is no origin"),
        ("cors_origins = ['https://a.example/path']", "is no origin"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path / "nexus.toml", text)

    refused = CommandLine(cwd=tmp_path)("migrate", "--check")

    assert (refused.code, refused.out) == (2, "")
    assert said in refused.err
    assert refused.err.count("\n") == 1


def test_a_file_that_is_not_there_is_missed_only_when_it_was_named(tmp_path: Path) -> None:
    refused = CommandLine(cwd=tmp_path)("migrate", "--config", "other.toml")
    assert refused.code == 2
    assert "there is no file other.toml" in refused.err


@pytest.mark.parametrize(
    "weak",
    [
        "short",
        "secret" * 8,
        "changeme-changeme-changeme-changeme",
        "your-256-bit-secret-your-256-bit-secret",
        "my_super-secret_jwt_key_1234567890",
        "a" * 64,
        "abc" * 20,
        "0123456789" * 4,
    ],
)
def test_a_weak_key_is_refused_and_not_repeated(weak: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(jwt_secret=weak).refuse_weak_secrets()

    assert str(refused.value).startswith("setting jwt_secret ")
    assert "openssl rand -hex 32" in str(refused.value)
    assert weak not in str(refused.value)


@pytest.mark.parametrize("weak", ["hunter2", "password1234", "admin-admin-admin"])
def test_a_weak_secret_of_the_admin_is_refused(weak: str) -> None:
    with pytest.raises(SettingsError, match="setting admin_client_secret "):
        load_settings(admin_client_secret=weak).refuse_weak_secrets()


def test_nexus_does_not_start_with_a_weak_key(tmp_path: Path) -> None:
    refused = CommandLine(cwd=tmp_path).process("serve", "--port", "0", JWT_SECRET="secret")

    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("nexus: setting jwt_secret has 6 characters")
    assert not (tmp_path / "nexus-data").exists()


@pytest.mark.parametrize("strong", [STRONG, STRONG * 2, "correct horse battery staple, and more"])
def test_good_keys_pass(strong: str) -> None:
    assert weakness(strong, shortest=SHORTEST_KEY) is None


def test_a_developer_may_have_weak_secrets_and_tokens_are_signed_with_them(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data")
    server.extra = {"JWT_SECRET": "s", "NEXUS_ADMIN_CLIENT_SECRET": "x", "NEXUS_DEV": "true"}
    try:
        server.start()
        listed = CommandLine(environment={**server.environment, **server.extra})("groups", "list")
        assert listed.code == 0, listed.err
        assert not (tmp_path / "data" / "signing.key").exists()
    finally:
        server.close()


def doctor(folder: Path, **environment: str) -> Outcome:
    return CommandLine(cwd=folder)(
        "doctor", "--url", "http://localhost:1", "--data-dir", "data", "--json", **environment
    )


def finding(outcome: Outcome, check: str) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in outcome.json["items"] if item["check"] == check)
    return found


def test_the_doctor_names_a_wrong_setting_and_goes_on(tmp_path: Path) -> None:
    write(tmp_path / "nexus.toml", "prot = 1")

    found = doctor(tmp_path)

    assert finding(found, "settings")["status"] == "fail"
    assert "did you mean 'port'" in finding(found, "settings")["found"]
    assert finding(found, "server")["status"] == "fail"


def test_the_doctor_names_weak_secrets(tmp_path: Path) -> None:
    found = finding(doctor(tmp_path, JWT_SECRET="secret"), "secrets")
    assert (found["status"], "openssl" in found["fix"]) == ("fail", True)
    assert finding(doctor(tmp_path, JWT_SECRET="secret", NEXUS_DEV="1"), "secrets")["status"] == (
        "warn"
    )


def test_the_doctor_finds_keys_that_others_can_read_and_damaged_ones(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    key = write(data / "pepper.key", "ab" * 32)
    key.chmod(0o640)
    open_key = finding(doctor(tmp_path), "keys")
    assert (open_key["status"], "chmod 600" in open_key["fix"]) == ("fail", True)
    key.chmod(0o600)
    assert finding(doctor(tmp_path), "keys")["status"] == "ok"
    key.write_text("xyz")
    assert "damaged" in finding(doctor(tmp_path), "keys")["found"]


def test_no_secret_shows_in_what_settings_print() -> None:
    found = load_settings(
        jwt_secret=STRONG, admin_client_secret=STRONG, database_url=f"p://{STRONG}"
    )
    assert STRONG not in repr(found) + str(found)
    assert isinstance(found, Settings)
