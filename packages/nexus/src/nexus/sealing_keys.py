"""Where the keys are kept that seal secrets: in the data folder, or in the settings."""

from collections.abc import Sequence
from pathlib import Path

from nexus.domain.errors import Conflict
from nexus.keys import write_private
from nexus.services.sealing import SealingKey, SealingKeys


class SealingKeyFile:
    """``secrets.key``: a key in hexadecimal a line, that which seals first.

    ``chosen`` are texts that take the place of the file, the newest first. The file is read each
    time, so that one which was put there is taken up without a restart.
    """

    def __init__(self, data_dir: Path, chosen: Sequence[str] = ()) -> None:
        self.path = data_dir / "secrets.key"
        self._chosen = tuple(chosen)

    @property
    def is_chosen(self) -> bool:
        """Say whether settings take the place of the file."""
        return bool(self._chosen)

    def read(self) -> SealingKeys | None:
        """Return the keys; None where there are none yet.

        Raises:
            Conflict: the file is damaged, or cannot be read.
        """
        if self._chosen:
            return SealingKeys.of([SealingKey.of_text(text) for text in self._chosen])
        try:
            lines = self.path.read_text().split()
            return SealingKeys.of([SealingKey(secret=bytes.fromhex(line)) for line in lines])
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise Conflict(f"{self.path} is damaged; restore it from a backup") from error
        except OSError as error:
            raise Conflict(f"cannot read {self.path}: {error.strerror}") from error

    def make(self) -> SealingKeys:
        """Make the first key, and keep it.

        Raises:
            Conflict: it cannot be written.
        """
        keys = SealingKeys((SealingKey.fresh(),))
        self.write(keys)
        return keys

    def write(self, keys: SealingKeys) -> None:
        """Keep these keys, readable by their owner only.

        Raises:
            Conflict: they cannot be written.
        """
        try:
            write_private(self.path, "".join(f"{key.secret.hex()}\n" for key in keys.keys))
        except OSError as error:
            raise Conflict(f"cannot write {self.path}: {error.strerror}") from error
