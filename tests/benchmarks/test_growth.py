"""Opening data grows no faster than its recordings, and not with recordings times species."""

import pytest

from benchmarks.growth import measure_apart

DENSE_BYTES = 200_000 * 10_000 * 4


@pytest.mark.slow
def test_ten_thousand_species_need_no_dense_matrix() -> None:
    row = measure_apart(200_000, 10_000)
    assert row["memory_mb"] * 1e6 < DENSE_BYTES / 2
    assert row["read_s"] + row["folds_s"] + row["labels_s"] < 120
