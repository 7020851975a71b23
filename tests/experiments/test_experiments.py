"""Every experiment folder: its configuration, its network, a step of its training."""

import importlib
import inspect
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.command_line import parse_arguments
from core.config import BackboneConfig, Config
from core.schedule import shorten
from core.trainer import Trainer
from experiments.distil_016.config import TeacherConfig
from tests.bird_model import SAMPLE_RATE, SIZE, write_bird_model
from tests.runs import BACKBONE, ROOT, open_trainer, tiny_config

NAMES = sorted(path.parent.name for path in (ROOT / "experiments").glob("*/run.py"))


def trainer_of(name: str) -> type[Trainer]:
    module = importlib.import_module(f"experiments.{name}.run")
    own = [c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__]
    (trainer,) = (c for c in own if issubclass(c, Trainer))
    return trainer


def config_of(name: str) -> Config:
    config: Config = importlib.import_module(f"experiments.{name}.config").CONFIG
    return config


def shrunk(name: str, root: Path, output_dir: Path) -> Config:
    """Return the experiment's demo schedule on tiny data, its own front end and model, random weights."""
    tiny, config = tiny_config(root, output_dir), shorten(config_of(name))
    model = config.model
    if isinstance(model, BackboneConfig):
        model = replace(model, backbone=BACKBONE, pretrained=False)
    data = replace(
        config.data, root=tiny.data.root, cache=tiny.data.cache, batch_size=4, num_folds=2, extra_roots=[]
    )
    features = config.features
    if name in ("probe_015", "distil_016"):  # no pretrained bird model is installed here
        card = str(write_bird_model(output_dir / "model"))
        if name == "probe_015":
            model, features = replace(model, card=card), replace(features, sample_rate=SAMPLE_RATE)  # type: ignore[call-arg]
        else:
            model = replace(model, embedding_size=SIZE)  # type: ignore[call-arg]
            config = replace(config, teacher=TeacherConfig(card=card))  # type: ignore[call-arg]
    if name == "student_017":
        config = replace(config, mixup=replace(config.mixup, selective_probability=0.0))
    if hasattr(config, "teacher_share"):  # nothing is trained that could teach
        config = replace(config, teacher_share=0.0)  # type: ignore[call-arg]
    return replace(
        config,
        output_dir=tiny.output_dir,
        data=data,
        model=model,
        features=features,
        tracking=tiny.tracking,
        valid=tiny.valid,
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_folder_is_complete(name: str) -> None:
    folder = ROOT / "experiments" / name
    assert config_of(name).name == name
    readme = (folder / "README.md").read_text()
    assert f"accelerate launch experiments/{name}/run.py" in readme
    assert len(readme.splitlines()) <= 30


@pytest.mark.parametrize("name", NAMES)
def test_few_recordings_are_sent_to_an_experiment_that_is_for_them(name: str) -> None:
    better = config_of(name).for_few
    assert better is None or config_of(better).for_few is None


@pytest.mark.parametrize("name", NAMES)
def test_steps_lower_the_loss(name: str, tiny_demo: Path, tmp_path: Path) -> None:
    config = shrunk(name, tiny_demo, tmp_path)
    config = replace(config, optim=replace(config.optim, lr=1e-3, warmup_epochs=0.0), epochs=10)
    trainer = open_trainer(config, kind=trainer_of(name))
    trainer.network.train()
    trainer.loaders.batches.start_at(0, 0)
    batch = next(iter(trainer.loaders.train))
    sums = [trainer.train_step(batch, 0, 0) for _ in range(8)]
    losses = [(loss / weight).item() for loss, weight in sums]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_clip_gives_one_output(name: str, tiny_demo: Path, tmp_path: Path) -> None:
    config = shrunk(name, tiny_demo, tmp_path)
    trainer = open_trainer(config, kind=trainer_of(name))
    number, rate = len(trainer.species), config.features.sample_rate
    for seconds, num_parts in ((5, 1), (10, 2), (10, 1), (30, 6)):
        with torch.inference_mode():
            output = trainer.scored_model.eval()(0.1 * torch.randn(2, seconds * rate), num_parts)
        segments = output.segment_logit.shape[1]
        assert output.clip_logit.shape == (2, number)
        assert output.segment_logit.shape == (2, segments, number)
        assert output.frame_logit.shape == (2, output.num_frames, number)
        assert len(output.segment_times(seconds)) == segments
        assert segments % num_parts == 0
        assert segments >= 2 * num_parts
        assert torch.isfinite(output.clip_logit).all()
        assert output.clip_logit.dtype == output.segment_logit.dtype == torch.float32


@pytest.mark.parametrize("name", NAMES)
def test_what_sounds_late_is_heard_late(name: str, tiny_demo: Path, tmp_path: Path) -> None:
    """A sound in the last second of 10 s changes segments near it most, whatever the number of parts."""
    config = shrunk(name, tiny_demo, tmp_path)
    trainer = open_trainer(config, kind=trainer_of(name))
    rate = config.features.sample_rate
    silent = 1e-4 * torch.randn(1, 10 * rate)
    loud = silent.clone()
    loud[0, 9 * rate :] += 0.3 * torch.randn(rate)
    for num_parts in (1, 2):
        with torch.inference_mode():
            before, after = (trainer.scored_model.eval()(wave, num_parts) for wave in (silent, loud))
        change = (after.segment_logit - before.segment_logit).abs().sum(dim=2)[0]
        times = after.segment_times(10.0)
        assert change[times > 8.5].mean() > change[times < 4.5].mean()


@pytest.mark.parametrize("name", NAMES)
def test_help_names_every_field_before_torch_is_loaded(name: str) -> None:
    program = f"experiments/{name}/run.py"
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", program, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert shown.returncode == 0, shown.stderr
    assert "--mixup.selective-probability" in shown.stdout.replace("_", "-")
    assert "| torch\n" not in shown.stderr


def test_the_overrides_of_the_log_parse() -> None:
    log = (ROOT / "experiments" / "README.md").read_text()
    table = log.split("| original | override |")[1].split("\n\n")[0]
    overrides = re.findall(r"`(--[^`]*)`", table)
    assert len(overrides) == 6
    for words in overrides:
        parse_arguments(config_of("timm_007"), words.split())
