"""Ids."""

from nexus.store.ids import new_id


def test_ids_are_unique_and_sort_by_age() -> None:
    ids = [new_id() for _ in range(5000)]
    assert len(set(ids)) == len(ids)
    assert [one[:8] for one in ids] == sorted(one[:8] for one in ids)
    assert {len(one) for one in ids} == {18}
