"""Where the settings' file is found and read: ``nexus.toml``, or whatever was named instead."""

import difflib
import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

DEFAULT_FILE = Path("nexus.toml")
VARIABLE = "NEXUS_CONFIG"


class SettingsError(Exception):
    """A setting is wrong; the message names it and says what it takes."""


def find(named: Path | None) -> Path | None:
    """Return the file to read: the named one, else the variable's, else one that lies here.

    Raises:
        SettingsError: it was named and is not there.
    """
    chosen = named or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if chosen is None:
        return DEFAULT_FILE if DEFAULT_FILE.is_file() else None
    if not chosen.is_file():
        raise SettingsError(f"there is no file {chosen}; give --config or {VARIABLE} another one")
    return chosen


def read(path: Path, known: Iterable[str]) -> dict[str, Any]:
    """Return what a file sets, by the names of settings.

    Raises:
        SettingsError: it cannot be read, is no TOML, or sets what does not exist.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"{path} is no valid TOML: {error}") from error
    names = sorted(known)
    for name in values:
        if name not in names:
            raise SettingsError(f"{path}: there is no setting {name!r}{_near(name, names)}")
    return values


def _near(name: str, names: list[str]) -> str:
    """Suggest what was probably meant; whoever writes it as in the environment is understood."""
    plain = name.lower().replace("-", "_").removeprefix("nexus_")
    matches = [plain] if plain in names else difflib.get_close_matches(plain, names, n=1)
    return f"; did you mean {matches[0]!r}?" if matches else f"; there are: {', '.join(names)}"
