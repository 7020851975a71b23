"""The one place that shortens a run, for every experiment and sweep.

`--schedule=auto` shortens on the generated demo data and leaves every other data alone, `demo` always
shortens, `full` never does. What is given on the command line is never touched.
"""

from dataclasses import replace
from typing import TypeVar

from core.config import Config
from core.config_values import flatten

C = TypeVar("C", bound=Config)

DEMO_CLIP_SECONDS = 5.0
DEMO_WARMUP_EPOCHS = 1.0


def shorten(config: C) -> C:
    """Return the variant of `config` that a laptop trains in a few minutes.

    Clips become one part long, batches shrink, epochs are the model's `demo_epochs` (from random weights more
    than those of a full run, each of them short), the learning rate warms up, and the model is replaced by
    what its own `shortened` names, if it is too large to learn in that time. Ordinary augmentation goes where
    the model's `demo_augmentation` says that it learns too little with it.
    """
    if not config.model.demo_augmentation:
        config = without_augmentation(config)
    data, optim = config.data, config.optim
    return replace(
        config,
        epochs=config.model.demo_epochs,
        model=config.model.shortened(),
        data=replace(
            data,
            clip_seconds=min(data.clip_seconds, max(DEMO_CLIP_SECONDS, data.part_seconds)),
            batch_size=min(data.batch_size, config.model.demo_batch_size),
        ),
        optim=replace(optim, warmup_epochs=max(optim.warmup_epochs, DEMO_WARMUP_EPOCHS)),
    )


def without_augmentation(config: C) -> C:
    """Return `config` without ordinary mixup, noise and SpecAugment; selective mixup stays."""
    noise = replace(config.data.noise, probabilities=[0.0] * len(config.data.noise.probabilities))
    return replace(
        config,
        data=replace(config.data, noise=noise),
        mixup=replace(config.mixup, probability=0.0, second_probability=0.0),
        spec_augment=replace(config.spec_augment, probability=0.0),
    )


def changes(before: Config, after: Config) -> list[str]:
    """Return one line per field that differs, such as `epochs: 40 -> 12`."""
    old, new = flatten(before), flatten(after)
    keys = sorted(old.keys() | new.keys())
    missing = "-"
    return [
        f"{key}: {old.get(key, missing)} -> {new.get(key, missing)}"
        for key in keys
        if old.get(key, missing) != new.get(key, missing)
    ]
