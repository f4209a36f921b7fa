"""Automatic compaction: by count, by age, never when neither asks for it."""

from libelli.host.retention import PROPOSE_AGAIN_MS, Retention


def due(retention: Retention, now_ms: int, revision: int, compacted: int = 0) -> int | None:
    return retention.due(now_ms, revision=revision, compact_revision=compacted)


def test_nothing_is_compacted_when_everything_is_to_be_kept() -> None:
    retention = Retention(retain_revisions=0, retain_ms=0)
    assert all(due(retention, 10**6 * step, 10**6 * step) is None for step in range(5))


def test_history_over_the_number_of_revisions_is_compacted_by_tenths() -> None:
    retention = Retention(retain_revisions=100, retain_ms=0)
    assert due(retention, 0, 110) is None
    assert due(retention, 0, 111) == 11
    assert due(retention, 0, 120, compacted=11) is None
    assert due(retention, 0, 122, compacted=11) == 22


def test_history_over_the_age_is_compacted() -> None:
    retention = Retention(retain_revisions=0, retain_ms=60_000)
    assert due(retention, 0, 50) is None
    assert due(retention, 30_000, 80) is None
    assert due(retention, 59_999, 90) is None
    assert due(retention, 60_000, 95) == 50
    assert due(retention, 60_001, 95, compacted=50) is None
    assert due(retention, 90_000, 99, compacted=50) == 80


def test_a_new_leader_counts_the_age_from_its_own_beginning() -> None:
    retention = Retention(retain_revisions=0, retain_ms=60_000)
    due(retention, 0, 50)
    retention.forget()
    assert due(retention, 60_000, 95) is None
    assert due(retention, 120_000, 99) == 95


def test_a_compaction_under_way_is_not_proposed_again_until_it_counts_as_lost() -> None:
    retention = Retention(retain_revisions=100, retain_ms=0)
    assert due(retention, 1_000, 200) == 100
    assert due(retention, 1_100, 250) is None
    assert due(retention, 1_000 + PROPOSE_AGAIN_MS, 300) == 200
    assert due(retention, 1_100 + PROPOSE_AGAIN_MS, 320, compacted=200) == 220
