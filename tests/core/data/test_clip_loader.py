"""Batches come in their order, gathered ahead by threads."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from core.data.clip_loader import ClipLoader
from core.data.clips import Batch, ClipSet
from core.training.sending import sent_ahead


class Slow(ClipSet):
    """Batches of a number each; the first ones take longest, and one cannot be gathered."""

    def __init__(self, bad: int = -1) -> None:
        self.bad, self.gathered = bad, 0

    def batch(self, places: Sequence[Any], *, pinned: bool = False) -> Batch:
        assert not pinned
        time.sleep(0.05 / (1 + places[0]))
        if places[0] == self.bad:
            message = "gone"
            raise ValueError(message)
        self.gathered += 1
        number = torch.tensor([float(places[0])])
        return Batch(number, number, number, number, number, number)


def numbers(loader: ClipLoader) -> list[float]:
    return [batch.wave.item() for batch in sent_ahead(loader, torch.device("cpu"))]


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_batches_come_in_order_as_often_as_asked_for(threads: int) -> None:
    loader = ClipLoader(Slow(), [[i] for i in range(9)], threads)
    assert numbers(loader) == numbers(loader) == list(range(9))


@pytest.mark.parametrize("threads", [0, 3])
def test_what_goes_wrong_is_raised_where_its_batch_is_due(threads: int) -> None:
    batches = iter(ClipLoader(Slow(bad=5), [[i] for i in range(9)], threads))
    assert [next(batches).wave.item() for _ in range(5)] == list(range(5))
    with pytest.raises(ValueError, match="gone"):
        next(batches)


def test_an_epoch_that_is_left_early_gathers_no_more() -> None:
    clips, before = Slow(), threading.active_count()
    batches = iter(ClipLoader(clips, [[i] for i in range(1000)], 2))
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert clips.gathered <= 6
    assert threading.active_count() == before
