"""Histograms: bounded error, merging, and what they refuse."""

import math
import random

import pytest

from libelli.lab.histogram import RELATIVE_ERROR, Histogram, bucket_bounds, bucket_of


def test_every_value_lies_in_its_bucket_and_buckets_touch() -> None:
    for value in [*range(2_000), *(1 << power for power in range(60)), 3**30]:
        low, behind = bucket_bounds(bucket_of(value))
        assert low <= value < behind
        assert bucket_of(behind) == bucket_of(value) + 1


def test_a_quantile_is_off_by_no_more_than_the_stated_error(seed: int) -> None:
    dice = random.Random(seed)
    values = sorted(round(dice.lognormvariate(14, 2)) for _ in range(10_000))
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    for share in (0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0):
        exact = values[max(1, math.ceil(share * len(values))) - 1]
        assert histogram.quantile(share) == pytest.approx(exact, rel=RELATIVE_ERROR, abs=0.5)
    assert histogram.largest == values[-1]


def test_merged_parts_equal_the_whole_in_any_order() -> None:
    parts = [Histogram() for _ in range(3)]
    whole = Histogram()
    for value in range(0, 100_000, 7):
        parts[value % 3].record(value, 2)
        whole.record(value, 2)
    assert Histogram.merged(parts) == Histogram.merged(reversed(parts)) == whole
    assert Histogram.decode(whole.encode()) == whole


def test_nothing_recorded_has_no_quantile() -> None:
    assert math.isnan(Histogram().quantile(0.5))


@pytest.mark.parametrize(("value", "count"), [(-1, 1), (1, 0), (1, -3)])
def test_what_cannot_be_recorded_changes_nothing(value: int, count: int) -> None:
    histogram = Histogram()
    with pytest.raises(ValueError, match="cannot record"):
        histogram.record(value, count)
    assert histogram.count == 0


@pytest.mark.parametrize("encoded", [[], [[1, 2]], [[5, 0], [1]]])
def test_other_data_is_not_decoded_as_a_histogram(encoded: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="encoded histogram"):
        Histogram.decode(encoded)
