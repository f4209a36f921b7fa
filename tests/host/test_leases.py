"""The leader's clock of leases: no lease ends early, each ends once, and one that ended is not renewed."""

import random

from libelli.host.leases import EXPIRED_MAX, LeaseClock

RETRY_MS = 1_000


def expired(leases: LeaseClock, now_ms: int) -> list[int]:
    return leases.expired(now_ms, retry_ms=RETRY_MS)


def test_a_lease_ends_when_its_time_is_over_and_not_before() -> None:
    leases = LeaseClock()
    leases.granted(1_000, lease=7, ttl_s=3)
    assert leases.remaining_ms(1_500, 7) == 2_500
    assert expired(leases, 3_999) == []
    assert expired(leases, 4_000) == [7]


def test_a_renewed_lease_has_its_whole_time_again() -> None:
    leases = LeaseClock()
    leases.granted(0, lease=7, ttl_s=3)
    assert leases.renew(2_000, 7) == 3
    assert expired(leases, 4_999) == []
    assert expired(leases, 5_000) == [7]


def test_a_lease_that_ended_is_not_renewed_even_before_its_end_is_in_the_log() -> None:
    leases = LeaseClock()
    leases.granted(0, lease=7, ttl_s=3)
    assert leases.renew(3_000, 7) == 0
    expired(leases, 3_000)
    assert leases.renew(3_001, 7) == 0
    assert leases.remaining_ms(3_001, 7) == 0


def test_a_lease_whose_end_did_not_get_into_the_log_is_named_again() -> None:
    leases = LeaseClock()
    leases.granted(0, lease=7, ttl_s=3)
    assert expired(leases, 3_000) == [7]
    assert expired(leases, 3_999) == []
    assert expired(leases, 4_000) == [7]
    leases.revoked(7)
    assert expired(leases, 9_000) == []
    assert leases.remaining_ms(9_000, 7) == -1


def test_a_new_leader_gives_every_lease_its_whole_time_and_the_election() -> None:
    leases = LeaseClock()
    leases.granted(0, lease=1, ttl_s=1)
    leases.begin(10_000, [(7, 3), (8, 5)], grace_ms=400)
    assert len(leases) == 2
    assert expired(leases, 13_399) == []
    assert expired(leases, 13_400) == [7]
    assert expired(leases, 15_400) == [7, 8]


def test_many_leases_end_in_several_steps() -> None:
    leases = LeaseClock()
    for lease in range(1, EXPIRED_MAX + 11):
        leases.granted(0, lease=lease, ttl_s=1)
    assert len(expired(leases, 1_000)) == EXPIRED_MAX
    assert len(expired(leases, 1_000)) == 10


def test_it_agrees_with_a_dict_of_deadlines(seed: int) -> None:
    dice, leases, twin = random.Random(seed), LeaseClock(), dict[int, tuple[int, int]]()
    now_ms = 0
    for _ in range(3_000):
        now_ms += dice.randint(0, 300)
        for lease in expired(leases, now_ms):
            assert twin.pop(lease)[0] <= now_ms
            leases.revoked(lease)
        assert all(deadline_ms > now_ms for deadline_ms, _ in twin.values())
        lease, ttl_s = dice.randint(1, 20), dice.randint(1, 5)
        if lease in twin and dice.random() < 0.8:
            assert leases.renew(now_ms, lease) == twin[lease][1]
            twin[lease] = (now_ms + 1000 * twin[lease][1], twin[lease][1])
        elif lease not in twin:
            leases.granted(now_ms, lease, ttl_s)
            twin[lease] = (now_ms + 1000 * ttl_s, ttl_s)
        assert len(leases) == len(twin)
