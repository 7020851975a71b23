"""Who gets which GPU or core."""

import pytest

from sweeps.devices import Slot, share_devices, visible_gpus


def test_one_trial_at_a_time_is_left_everything() -> None:
    assert share_devices(1, 1, ["0", "1"], [0, 1]) == [Slot()]
    assert Slot().environment == {}


def test_each_process_of_each_trial_has_a_gpu() -> None:
    slots = share_devices(2, 2, ["0", "1", "2", "3"], [0, 1])
    assert [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in slots] == ["0,1", "2,3"]
    with pytest.raises(ValueError, match="--jobs=3: 2 GPU for each trial, and 4 are visible"):
        share_devices(3, 2, ["0", "1", "2", "3"], [0, 1])


def test_without_gpus_the_cores_are_shared_out() -> None:
    assert [slot.cores for slot in share_devices(2, 1, [], [4, 5, 6, 7, 8])] == [(4, 5), (6, 7)]
    with pytest.raises(ValueError, match="a CPU core for each trial"):
        share_devices(3, 1, [], [0, 1])
    with pytest.raises(ValueError, match="--jobs=0"):
        share_devices(0, 1, [], [0, 1])


def test_only_gpus_that_this_process_may_use_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-a1b2")
    assert visible_gpus() == ["2", "GPU-a1b2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []
