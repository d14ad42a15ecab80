"""Whether the contract notices when the fake Nexus is not as the real one."""

import contextlib
from collections.abc import Awaitable, Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from contract_sides import Hands, serving
from planted_differences import PLANTS

Test = Callable[[Hands], Awaitable[None]]


def contract() -> dict[str, Test]:
    """Return the tests of the contract by their names."""
    found: dict[str, Test] = {}
    for path in sorted(Path(__file__).parent.glob("test_contract_*.py")):
        spec = spec_from_file_location(f"planted_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        found |= {
            name.removeprefix("test_"): test
            for name, test in vars(module).items()
            if name.startswith("test_")
        }
    return found


TESTS = contract()


async def hold(name: str, folder: Path) -> None:
    """Hold the fake Nexus to one test of the contract."""
    async with serving("fake", folder) as side, contextlib.AsyncExitStack() as stack:
        await TESTS[name](Hands(side, stack))


@pytest.mark.parametrize("name", PLANTS)
async def test_a_planted_difference_is_seen(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant, test = PLANTS[name]
    plant(monkeypatch)
    with pytest.raises((AssertionError, KeyError, TimeoutError)):
        await hold(test, tmp_path)


@pytest.mark.parametrize("test", sorted({test for _, test in PLANTS.values()}))
async def test_without_one_all_is_well(test: str, tmp_path: Path) -> None:
    await hold(test, tmp_path)
