"""Secrets of tools: sealed in the database, opened nowhere but where they belong."""

import pytest
from pydantic import ValidationError

from nexus.domain.errors import Conflict, NotFound
from nexus.services import vault
from nexus.services.sealing import SealingKey, SealingKeys
from nexus.services.tenants import CreateTenant, create
from nexus.services.vault import SetSecret
from nexus.store import Tx
from nexus.store.tool_tables import tool_secrets
from service_world import ServiceWorld

VALUE = "sesame-open-please"


class Source:
    """Keys that a test holds in its hands."""

    def __init__(self, *keys: SealingKey) -> None:
        self.keys = list(keys)

    def read(self) -> SealingKeys | None:
        return SealingKeys.of(self.keys) if self.keys else None

    def make(self) -> SealingKeys:
        self.keys = [SealingKey.fresh()]
        return SealingKeys.of(self.keys)


@pytest.fixture
def source() -> Source:
    return Source()


def put(world: ServiceWorld, source: Source, name: str, value: str = VALUE) -> None:
    wish = SetSecret.model_validate({"name": name, "secret": value})
    world.run(vault.put, source, world.admin, wish)


def read(world: ServiceWorld, source: Source, name: str, tenant: str = "default") -> str:
    return world.run(vault.values, source, tenant, [name])[name]


def names(world: ServiceWorld) -> list[str]:
    return [one.name for one in world.run(vault.listing, world.admin.tenant_id)]


def change(world: ServiceWorld, **values: object) -> None:
    """Change what is stored behind Nexus's back."""

    def write(tx: Tx) -> None:
        tx.change(tool_secrets.update().where(tool_secrets.c.name == "a").values(**values))

    world.run(write)


def test_what_is_stored_is_sealed_and_opens_by_its_name(
    world: ServiceWorld, source: Source
) -> None:
    put(world, source, "a")
    put(world, source, "b")
    rows = world.run(lambda tx: tx.rows(tool_secrets.select()))
    assert VALUE not in str(rows)
    assert len({row["sealed"] for row in rows}) == 2, "the same value is sealed differently"
    assert {row["key_id"] for row in rows} == {source.keys[0].id}
    assert read(world, source, "a") == VALUE


def test_a_secret_takes_the_place_of_the_one_before(world: ServiceWorld, source: Source) -> None:
    put(world, source, "a")
    put(world, source, "a", "another-one ☕")
    assert (names(world), read(world, source, "a")) == (["a"], "another-one ☕")
    world.run(vault.remove, world.admin, "a")
    assert names(world) == []
    with pytest.raises(NotFound, match="nexus secrets set a"):
        read(world, source, "a")
    with pytest.raises(NotFound, match="there is no secret a"):
        world.run(vault.remove, world.admin, "a")


def test_a_row_that_was_moved_or_changed_does_not_open(world: ServiceWorld, source: Source) -> None:
    put(world, source, "a")
    put(world, source, "b", "another-secret")
    sealed = {row["name"]: row for row in world.run(lambda tx: tx.rows(tool_secrets.select()))}
    text = sealed["a"]["sealed"]
    flipped = ("B" if text[20] == "A" else "A").join((text[:20], text[21:]))
    for wrong in (sealed["b"]["sealed"], flipped, text[:-4], "no base64!", ""):
        change(world, sealed=wrong)
        with pytest.raises(Conflict, match="was changed, or is another secret's"):
            read(world, source, "a")
    change(world, sealed=text)
    assert read(world, source, "a") == VALUE


def test_a_row_does_not_open_for_another_organisation(world: ServiceWorld, source: Source) -> None:
    put(world, source, "a")
    wish = CreateTenant(slug="other", name="Other", admin_client_id="admin-other")
    other = world.run(create, wish, "hash")
    with pytest.raises(NotFound):
        read(world, source, "a", "other")
    change(world, tenant_id=other)
    with pytest.raises(Conflict, match="is another secret's"):
        read(world, source, "a", "other")


@pytest.mark.parametrize("wrong", [Source(), Source(SealingKey.fresh())], ids=["none", "another"])
def test_without_its_key_a_secret_neither_opens_nor_gets_company(
    world: ServiceWorld, source: Source, wrong: Source
) -> None:
    put(world, source, "a")
    with pytest.raises(Conflict, match=r"cannot be opened: .*; copy secrets\.key"):
        read(world, wrong, "a")
    with pytest.raises(Conflict, match="the key of the secrets that are kept already is not here"):
        put(world, wrong, "b")
    assert (names(world), read(world, source, "a")) == (["a"], VALUE)


def test_a_new_key_seals_all_anew(world: ServiceWorld, source: Source) -> None:
    put(world, source, "a")
    put(world, source, "b", "another-secret")
    old, new = source.keys[0], SealingKey.fresh()
    source.keys = [new, old]
    assert read(world, source, "a") == VALUE
    counts = world.run(vault.reseal, SealingKeys.of(source.keys))
    assert (counts, world.run(vault.keys_used)) == ({world.admin.tenant_id: 2}, {new.id})
    source.keys = [new]
    assert (read(world, source, "a"), read(world, source, "b")) == (VALUE, "another-secret")


def test_a_key_that_other_nodes_may_not_have_yet_seals_nothing(
    world: ServiceWorld, source: Source
) -> None:
    put(world, source, "a")
    old, prepared = source.keys[0], SealingKey.fresh()
    source.keys = [prepared, old]
    put(world, source, "b")
    assert world.run(vault.keys_used) == {old.id}
    world.run(vault.reseal, SealingKeys.of(source.keys))
    other_node = Source(old, prepared)  # its file is that of before
    put(world, other_node, "c")
    assert world.run(vault.keys_used) == {prepared.id}


def test_it_is_known_which_secrets_do_not_open(world: ServiceWorld, source: Source) -> None:
    assert world.run(vault.unopened, source.read()) == (0, [])
    put(world, source, "a")
    put(world, source, "b")
    assert world.run(vault.unopened, source.read()) == (2, [])
    change(world, sealed="AAAA")
    said = "the secret a cannot be opened: what is stored was changed, or is another secret's"
    assert world.run(vault.unopened, source.read()) == (2, [said])
    none = [f"the secret {name} cannot be opened: there is no key" for name in "ab"]
    assert world.run(vault.unopened, None) == (2, none)


def test_a_secret_that_cannot_be_opened_stops_a_rotation(
    world: ServiceWorld, source: Source
) -> None:
    put(world, source, "a")
    put(world, source, "b")
    change(world, sealed="broken")
    before = world.run(lambda tx: tx.rows(tool_secrets.select()))
    with pytest.raises(Conflict, match="the secret a cannot be opened"):
        world.run(vault.reseal, SealingKeys((SealingKey.fresh(), *source.keys)))
    assert world.run(lambda tx: tx.rows(tool_secrets.select())) == before


@pytest.mark.parametrize(
    "value", ["brief", " padded-secret", "a-line-end\n", "nul\x00nul\x00nul", ""]
)
def test_what_is_no_secret_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SetSecret.model_validate({"name": "a", "secret": value})
    said = str(caught.value.errors(include_input=False))
    assert value == "" or value.strip() not in said


def test_there_are_not_too_many(
    world: ServiceWorld, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vault, "MOST_SECRETS", 2)
    put(world, source, "a")
    put(world, source, "b")
    put(world, source, "b", "another-secret")
    with pytest.raises(Conflict, match="2 secrets already"):
        put(world, source, "c")


def test_keys_and_wishes_do_not_show_themselves() -> None:
    key = SealingKey.fresh()
    wish = SetSecret.model_validate({"name": "a", "secret": VALUE})
    shown = f"{key!r} {SealingKeys((key,))!r} {wish!r} {wish.model_dump_json()}"
    assert VALUE not in shown
    assert repr(key.secret) not in shown
