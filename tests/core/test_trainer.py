"""Real training on tiny data."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from accelerate.state import AcceleratorState, GradientState, PartialState
from torch import Tensor, nn

from core import checkpoint
from core.checkpoint import load_model, read_card
from core.config import (
    BUNDLED_BACKBONE,
    Config,
    FeatureConfig,
    LossConfig,
    MixupConfig,
    ModelConfig,
    OptimConfig,
    RunMetric,
    SpecAugmentConfig,
    TimmConfig,
)
from core.data.taxonomy import read_taxonomy
from core.inference.ensemble import find_checkpoints
from core.models import backbones
from core.models.base import Output, SpeciesModel
from core.run_folder import choose_stamp, find_run, open_run_folder
from core.scoring.predictions import PROBABILITY
from core.trainer import Trainer, build_accelerator
from core.training.augment import Labelled
from tests.runs import (
    STEPS,
    PlainTrainer,
    TinyTrainer,
    losses_of_steps,
    open_trainer,
    plain_config,
    tiny_config,
    with_data,
)

RUN_FILES = {
    "config.json", "environment.json", "metrics.jsonl", "summary.json", "predictions.parquet", "species.csv",
    "bad_files.csv", "items.parquet", "learning_curves.png", "species.png", "spectrograms.png",
    "score_by_threshold.png", "reliability.png", "confusion.png",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _fresh_accelerate() -> Iterator[None]:
    """Forget the precision and accumulation of the test before."""
    yield
    AcceleratorState._reset_state(True)
    GradientState._reset_state()
    PartialState._reset_state()


@pytest.fixture
def config(tiny_demo: Path, tmp_path: Path) -> Config:
    return tiny_config(tiny_demo, tmp_path / "outputs")


def unmixed(config: Config) -> Config:
    mixup = MixupConfig(probability=0.0, selective_probability=0.0)
    return replace(config, mixup=mixup, spec_augment=SpecAugmentConfig(probability=0.0))


def runs_of(config: Config) -> list[Path]:
    return sorted((Path(config.output_dir) / config.name).iterdir())


def weights_of(config: Config, run: Path) -> dict[str, Tensor]:
    model, _ = load_model(run / "checkpoints" / "last")
    return model.state_dict()


def assert_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        torch.testing.assert_close(tensor, second[name], rtol=0, atol=0)


def test_a_run_leaves_a_complete_folder_and_prints_its_table(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    TinyTrainer.main(config)
    (run,) = runs_of(config)
    assert run.name.endswith("-fold0")
    assert {path.name for path in run.iterdir() if path.is_file()} == RUN_FILES
    summary = json.loads((run / "summary.json").read_text())
    assert summary["epochs"] == 2
    assert summary["global_step"] == 2 * (summary["train_recordings"] // 4)
    predictions = pd.read_parquet(run / "predictions.parquet")
    assert len(predictions) == predictions["recording"].nunique() > 0
    assert set(predictions["fold"]) == {0}
    shown = capsys.readouterr().out
    assert "macro ROC-AUC" in shown
    assert str(run) in shown
    assert "learns more" not in shown
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows if "valid/score" in row] == [1, 2]


def test_the_last_checkpoint_predicts_what_the_run_recorded(config: Config) -> None:
    TinyTrainer.main(config)
    (run,) = runs_of(config)
    trainer = open_trainer(config, "b")
    model, card = load_model(run / "checkpoints" / "last")
    assert tuple(card.species) == trainer.species
    recorded = pd.read_parquet(run / "predictions.parquet").set_index("recording")
    clips = trainer.loaders.valid_clips
    names = trainer.data.competition.recordings["recording"]
    with torch.inference_mode():
        for clip in (clips[i] for i in range(len(clips))):
            logit = model(clip.wave[None]).clip_logit[0]
            for code in card.scored:
                ours = torch.sigmoid(logit[card.species.index(code)]).item()
                assert ours == pytest.approx(
                    recorded[PROBABILITY + code][names[int(clip.recording)]], abs=1e-5
                )


class Constant(SpeciesModel):
    """Says the same of every clip."""

    def __init__(self, config: ModelConfig, features: FeatureConfig, num_species: int) -> None:
        super().__init__(features)
        self.logit = nn.Parameter(torch.linspace(-1, 1, num_species))

    def classify(self, parts: Tensor) -> Output:
        """Return the constant."""
        clip = self.logit.expand(len(parts), -1)
        return Output(clip, clip[:, None], parts.shape[1] * parts.shape[-1])


class ConstantTrainer(Trainer):
    """Trains a constant."""

    model_class = Constant


@pytest.mark.slow
def test_a_constant_scores_as_chance_and_learns_the_mean_target(config: Config) -> None:
    config = unmixed(replace(config, epochs=60, loss=LossConfig(kind="bce", label_smoothing=0.0)))
    config = with_data(replace(config, optim=OptimConfig(lr=0.3)), use_ratings=False, batch_size=15)
    trainer = open_trainer(config, kind=ConstantTrainer)
    trainer.fit()
    metrics = trainer.record.folder.read_json("summary")["metrics"]
    assert metrics["macro_auc"] == {"value": 0.5, "low": None, "high": None}  # no resample changes it
    targets = trainer.data.labels.target[trainer.data.train].mean(axis=0)
    learned = torch.sigmoid(trainer.model.get_parameter("logit")).detach().numpy()
    np.testing.assert_allclose(learned, targets, atol=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(("metric", "label"), [("padded_cmap", "padded cmAP"), ("micro_f1", "2021 micro F1")])
def test_the_best_epoch_is_that_of_the_main_metric(
    config: Config, metric: RunMetric, label: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = open_trainer(replace(config, epochs=4, valid=replace(config.valid, metric=metric)))
    trainer.fit()
    folder = trainer.record.folder
    values = [row[f"valid/{metric}"] for row in folder.history() if f"valid/{metric}" in row]
    summary = folder.read_json("summary")
    assert (summary["metric"], summary[f"best_epoch_{metric}"]) == (metric, max(values))
    assert read_card(folder.checkpoints / "best").metrics[f"valid/{metric}"] == max(values)
    rows = capsys.readouterr().out.split("95% interval")[1].splitlines()
    assert rows[2].startswith(label)


def test_training_lowers_the_loss_on_clips_it_has_seen(config: Config) -> None:
    config = unmixed(replace(config, epochs=12))
    trainer, losses = open_trainer(config), []
    for epoch in range(config.epochs):
        trainer.train_epoch(epoch)
        losses.append(trainer.progress.epoch_loss)
        trainer.progress.end_epoch(0.0)
    assert losses[-1] < 0.5 * losses[0]


def test_accumulation_keeps_the_steps_and_the_batch(config: Config) -> None:
    whole = open_trainer(config, "a")
    halves = open_trainer(replace(config, optim=replace(config.optim, accumulation=2)), "b")
    assert halves.loaders.batches.local_size * 2 == whole.loaders.batches.local_size
    halves.fit()
    assert halves.progress.global_step == config.epochs * whole.loaders.batches.num_steps
    assert halves.optimization.optimizer.param_groups[0]["lr"] < 0.3 * config.optim.lr


def test_the_loss_is_that_of_the_whole_batch_whatever_its_micro_batches(config: Config) -> None:
    # Clips weigh by their ratings. Networks without batch norm and mixup see each clip alone.
    losses = [
        losses_of_steps(open_trainer(plain_config(config, accumulation), str(accumulation), PlainTrainer))
        for accumulation in (1, 2)
    ]
    assert len(losses[0]) == STEPS
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-6)
    assert max(losses[0]) - min(losses[0]) > 0.01, "nothing was learned"


@pytest.mark.slow
def test_workers_do_not_change_the_weights(config: Config) -> None:
    for workers, stamp in ((0, "a"), (2, "b")):
        open_trainer(with_data(replace(config, epochs=1), num_workers=workers), stamp).fit()
    first, second = runs_of(config)
    assert_same(weights_of(config, first), weights_of(config, second))


def test_another_seed_gives_other_weights(config: Config) -> None:
    weights = []
    for seed, stamp in ((1, "a"), (2, "b")):
        trainer = open_trainer(replace(config, epochs=1, seed=seed), stamp)
        trainer.train_epoch(0)
        weights.append(trainer.model.state_dict()["head.hidden.weight"])
    assert not torch.equal(*weights)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_gives_the_loss_of_float32(
    config: Config, precision: Literal["bf16", "fp16"]
) -> None:
    losses = []
    kinds: tuple[Literal["no", "bf16", "fp16"], ...] = ("no", precision)
    for kind in kinds:
        trainer = open_trainer(replace(config, epochs=1, precision=kind), kind)
        trainer.network.train()
        trainer.loaders.batches.start_at(0, 0)
        batch = next(iter(trainer.loaders.train))
        weighted, weight = trainer.train_step(batch, 0, 0).tolist()
        losses.append(weighted / weight)
        AcceleratorState._reset_state(True)
    assert losses[1] != losses[0], "the network ran in float32"
    assert losses[1] == pytest.approx(losses[0], rel=0.03)


def test_the_moving_average_is_what_is_scored_and_saved(config: Config) -> None:
    config = replace(config, optim=OptimConfig(lr=3e-3, ema_decay=0.9))
    trainer = open_trainer(config)
    trainer.fit()
    assert trainer.optimization.average is not None
    (run,) = runs_of(config)
    saved = weights_of(config, run)
    assert_same(saved, {name: t.detach() for name, t in trainer.scored_model.state_dict().items()})
    assert not torch.equal(saved["head.hidden.weight"], trainer.model.state_dict()["head.hidden.weight"])


def test_validation_leaves_the_network_in_its_mode(config: Config) -> None:
    trainer = open_trainer(config)
    for is_training in (True, False):
        trainer.model.train(is_training)
        trainer.validate()
        assert {module.training for module in trainer.model.modules()} == {is_training}


class Diverging(TinyTrainer):
    """Its loss becomes infinite in the second epoch."""

    def compute_loss(self, output: Output, labels: Labelled) -> Tensor:
        """Return the loss, spoilt."""
        return super().compute_loss(output, labels) * (float("inf") if self.progress.epoch else 1.0)


def test_a_loss_that_is_not_finite_names_its_recordings_and_spares_the_checkpoint(config: Config) -> None:
    trainer = open_trainer(config, kind=Diverging)
    with pytest.raises(FloatingPointError, match=r"the loss became inf .* from: .*\.ogg.*lower --optim\.lr"):
        trainer.fit()
    (run,) = runs_of(config)
    assert all(torch.isfinite(t).all() for t in weights_of(config, run).values())
    assert not (run / "summary.json").exists()


@pytest.mark.slow
def test_all_folds_are_trained_and_pooled(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    TinyTrainer.main(with_data(replace(config, epochs=1, for_few="another"), fold="all"))
    runs = {run.name.rsplit("-", 1)[1]: run for run in runs_of(config)}
    assert set(runs) == {"all", "fold0", "fold1", "fold2"}
    pooled = pd.read_parquet(runs["all"] / "predictions.parquet")
    parts = [pd.read_parquet(runs[f"fold{i}"] / "predictions.parquet") for i in range(3)]
    assert len(pooled) == sum(map(len, parts)) == pooled["recording"].nunique()
    printed = capsys.readouterr().out
    assert "3 folds pooled" in printed
    assert printed.count("recordings train: experiments/another learns more") == 1
    assert json.loads((runs["all"] / "summary.json").read_text())["runs"] == [
        runs[f"fold{i}"].name for i in range(3)
    ]
    names, of_fold = (read_taxonomy(runs[name] / "species.csv") for name in ("all", "fold0"))
    assert all(names.common)
    assert names == of_fold
    stands_for = [checkpoint.find(runs[f"fold{i}"] / "checkpoints" / "last") for i in range(3)]
    assert find_checkpoints(runs["all"]) == stands_for


def test_weights_that_cannot_be_had_are_told_before_decoding_and_leave_no_folder(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(backbones, "_is_cached", lambda hub_id: False)
    monkeypatch.setattr(backbones, "_is_reachable", lambda source: False)
    config = replace(config, model=TimmConfig(backbone="eca_nfnet_l0.ra2_in1k"))
    config = with_data(config, cache=str(tmp_path / "cache"), fold="all")
    with pytest.raises(SystemExit) as stop:
        TinyTrainer.main(config)
    assert stop.value.code == 2
    assert f"--model.backbone={BUNDLED_BACKBONE}" in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()
    assert not Path(config.output_dir).exists()


def test_an_epoch_of_few_recordings_repeats_them(config: Config) -> None:
    trainer = open_trainer(with_data(config, min_epoch_steps=9))
    assert trainer.loaders.batches.num_steps == 9 > len(trainer.data.train) // 4
    drawn = [draw.recording for batch in trainer.loaders.batches for draw in batch[:4]]
    counts = Counter(drawn)
    assert set(counts) == set(trainer.data.train.tolist())
    assert max(counts.values()) - min(counts.values()) <= 1


def test_without_a_validating_fold_everything_trains(config: Config) -> None:
    TinyTrainer.main(with_data(replace(config, epochs=1), fold=None))
    (run,) = runs_of(config)
    summary = json.loads((run / "summary.json").read_text())
    assert summary["train_recordings"] == 20
    assert pd.read_parquet(run / "predictions.parquet").empty


def test_a_finished_run_resumes_to_its_table(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    TinyTrainer.main(replace(config, epochs=1))
    (run,) = runs_of(config)
    before = (run / "summary.json").read_text()
    capsys.readouterr()
    TinyTrainer.main(replace(config, epochs=1, resume="last"))
    assert runs_of(config) == [run]
    assert (run / "summary.json").read_text() == before
    assert "macro ROC-AUC" in capsys.readouterr().out


def test_bad_recordings_are_listed_and_the_rest_trains(
    config: Config, tiny_demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "birds"
    shutil.copytree(tiny_demo, root)
    audio = root / "train_audio"
    files = sorted(audio.glob("*/*.ogg"))
    files[0].write_bytes(files[0].read_bytes()[: files[0].stat().st_size // 2])
    files[1].write_bytes(b"")
    files[2].write_text("not a recording")
    table = pd.read_csv(root / "train_metadata.csv")
    tone = np.sin(np.arange(44100 * 6) * 0.1)
    stereo, short = "embups/stereo.wav", "embups/short.wav"
    soundfile.write(audio / stereo, np.stack([0.3 * tone, 0.1 * tone], axis=1), 44100)
    soundfile.write(audio / short, 0.3 * tone[:960], 32000)
    added = pd.concat([table, *(table.iloc[:1].assign(filename=name) for name in (stereo, short))])
    added.to_csv(root / "train_metadata.csv", index=False)
    config = with_data(replace(config, epochs=1), root=str(root), cache=str(tmp_path / "cache"))
    TinyTrainer.main(config)
    (run,) = runs_of(config)
    ledger = pd.read_csv(run / "bad_files.csv").set_index("file")
    cut, empty, text = (str(file) for file in files[:3])
    assert ledger["status"].to_dict() == {cut: "damaged", empty: "unusable", text: "unusable"}
    assert ledger["reason"].notna().all()
    assert "cut off" in ledger["reason"][cut]
    assert 2 < ledger["used_seconds"][cut] < 3
    assert "2 files cannot be used, 1 are damaged" in capsys.readouterr().out
    assert json.loads((run / "summary.json").read_text())["bad_files"] == 2
    TinyTrainer.main(with_data(config, strict=True))
    run = next(one for one in runs_of(config) if one != run)
    assert set(pd.read_csv(run / "bad_files.csv")["file"]) == {cut, empty, text}
    assert "3 files cannot be used, 0 are damaged" in capsys.readouterr().out


class VanishingAudio(TinyTrainer):
    """Its recordings are gone once it has started."""

    def start(self) -> None:
        super().start()
        for path in self.data.competition.recordings["path"]:
            path.unlink()


def test_a_recording_that_is_gone_while_training_is_named(
    config: Config, tiny_demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "birds"
    shutil.copytree(tiny_demo, root)
    for num_workers in (0, 1):
        shutil.copytree(tiny_demo / "train_audio", root / "train_audio", dirs_exist_ok=True)
        with pytest.raises(SystemExit) as stop:
            VanishingAudio.main(with_data(config, root=str(root), cache=None, num_workers=num_workers))
        assert stop.value.code == 2
        (told,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert re.fullmatch(r"error: .*\.ogg: missing file; restore it, then continue with --resume", told)


class ShortOfMemory(TinyTrainer):
    """Its device holds no step."""

    def compute_loss(self, output: Output, labels: Labelled) -> Tensor:
        raise torch.OutOfMemoryError


def test_a_device_without_memory_for_a_step_is_told_with_what_helps(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        ShortOfMemory.main(config)
    assert stop.value.code == 2
    (told,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert re.fullmatch(
        r"error: data\.batch_size=\d+: cpu has too little memory; --optim\.accumulation=2 halves .*", told
    )


def test_a_path_that_leaves_the_folder_is_refused(
    config: Config, tiny_demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "birds"
    shutil.copytree(tiny_demo, root)
    table = pd.read_csv(root / "train_metadata.csv")
    table.loc[0, "filename"] = "../../secret.ogg"
    table.to_csv(root / "train_metadata.csv", index=False)
    with pytest.raises(SystemExit) as stop:
        TinyTrainer.main(with_data(config, root=str(root)))
    assert stop.value.code == 2
    assert "line 2: filename '../../secret.ogg' leaves the data folder" in capsys.readouterr().err


def test_variables_of_accelerate_change_neither_accumulation_nor_the_number_of_runs(
    config: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "3")
    accumulating = replace(config, optim=replace(config.optim, accumulation=2))
    assert build_accelerator(accumulating).gradient_accumulation_steps == 2
    monkeypatch.setenv("WORLD_SIZE", "2")  # as a launcher for two GPUs sets it, where there is none
    with pytest.raises(SystemExit) as stop:
        TinyTrainer.main(config)
    assert stop.value.code == 2
    assert "2 processes were launched, Accelerate runs 1 x cpu: " in capsys.readouterr().err
    assert not Path(config.output_dir).exists()


def test_runs_are_ordered_as_they_were_started_whatever_the_clock_says(config: Config) -> None:
    open_run_folder(config, "20991231-235959-ffff", create=True)
    later = open_run_folder(config, choose_stamp(config), create=True)
    assert find_run(config.output_dir, config.name, "last") == later.path
    again = open_run_folder(config, choose_stamp(config), create=True)
    assert find_run(config.output_dir, config.name, "last") == again.path
