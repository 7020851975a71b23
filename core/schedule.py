"""The one place that shortens a run, for every experiment and sweep, and that chooses the data for it.

`--schedule=auto` shortens on the generated demo data and leaves every other data alone, `demo` always
shortens, `full` never does. What is given on the command line is never touched.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from core.config import Config
from core.config_values import flatten

_C = TypeVar("_C", bound=Config)

COMPETITION_ROOT = Path("data/birdclef-2022")
CLIP_SECONDS = 5.0
WARMUP_EPOCHS = 1.0


EPOCHS, EPOCHS_FROM_RANDOM = 5, 40
BATCH_SIZE = 8  # small steps: with batches of 16, as many clips teach less


def shorten(config: _C) -> _C:
    """Return the variant of `config` that a laptop trains in a few minutes.

    Clips become one part long, batches small, epochs few (more for a network that has seen nothing yet), the
    learning rate warms up, and the model is replaced by what its own `shortened` names, if it is too large to
    learn in that time. Of the augmentation only selective mixup stays, and the loss becomes binary
    cross-entropy without smoothing: both learn in the fewest steps. Labelled soundscapes only validate.
    """
    data, model, noise = config.data, config.model.shortened(), config.data.noise
    return replace(
        config,
        epochs=EPOCHS_FROM_RANDOM if model.starts_random else EPOCHS,
        model=model,
        data=replace(
            data,
            clip_seconds=min(data.clip_seconds, max(CLIP_SECONDS, data.part_seconds)),
            batch_size=min(data.batch_size, BATCH_SIZE),
            noise=replace(noise, probabilities=[0.0] * len(noise.probabilities)),
            soundscapes="validate" if data.soundscapes == "train_and_validate" else data.soundscapes,
        ),
        mixup=replace(config.mixup, probability=0.0, second_probability=0.0),
        spec_augment=replace(config.spec_augment, probability=0.0),
        loss=replace(config.loss, kind="bce", label_smoothing=0.0),
        optim=replace(config.optim, warmup_epochs=max(config.optim.warmup_epochs, WARMUP_EPOCHS)),
    )


def choose_data(config: _C) -> tuple[_C, bool]:
    """Return the configuration with its data and main metric settled, and whether the data are the demo.

    The demo is generated where nothing else is named; a second generated set then stands in for further
    folders that the experiment names.

    Raises
    ------
    ValueError
        If a folder is named that does not exist, so that a typo never trains on other data.
    """
    from core.data.demo.build import STATEMENT
    from core.data.hub import is_hub

    data = config.data
    if data.root is None and not COMPETITION_ROOT.is_dir():
        return _with_metric(_with_demo(config)), True
    root = str(COMPETITION_ROOT) if data.root is None else data.root
    for name, folder in (("root", root), *(("extra_roots", extra) for extra in data.extra_roots)):
        if not (is_hub(folder) or Path(folder).is_dir()):
            message = f"data.{name}={folder}: no such folder (looked in {Path.cwd()})"
            raise ValueError(message)
    if data.root is None:
        announce(f"Data: {root}")
    chosen = _with_metric(replace(config, data=replace(data, root=root)))
    return chosen, (Path(root) / STATEMENT).is_file()


def _with_metric(config: _C) -> _C:
    """Return the configuration whose main metric is the one given, or that of its folder's year."""
    from core.data.layouts import recognise

    metric = config.valid.metric or recognise(Path(str(config.data.root))).metric
    return replace(config, valid=replace(config.valid, metric=metric))


def _with_demo(config: _C) -> _C:
    from core.data.demo.build import OLDER_SEED, demo_root, ensure_demo
    from core.data.hub import is_hub

    demo, extra = demo_root(), config.data.extra_roots
    announce(
        f"{'=' * 78}\n"
        f"No --data.root given and no {COMPETITION_ROOT} here: training on GENERATED demo data\n"
        f"in {demo}. Its scores say that the program works, nothing about real birds.\n"
        f"{'=' * 78}"
    )
    ensure_demo(demo)
    missing = [folder for folder in extra if not (is_hub(folder) or Path(folder).is_dir())]
    if missing:
        older = demo_root(seed=OLDER_SEED)
        announce(f"data.extra_roots: no {', '.join(missing)} here; {older}, generated too, stands in for it.")
        ensure_demo(older, OLDER_SEED)
        extra = [str(older), *(folder for folder in extra if folder not in missing)]
    return replace(config, data=replace(config.data, root=str(demo), extra_roots=extra))


def announce(text: str) -> None:
    """Print `text` once, however many processes were launched."""
    if os.environ.get("RANK", "0") == "0":
        print(text, flush=True)


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
