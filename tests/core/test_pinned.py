"""What defines a run is kept with it: it goes on with the same data, alone, or not at all."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

from core.checkpoint import load_weights
from core.command_line import parse_config
from core.config import Config
from core.files import holding
from core.models.base import Output
from core.run_folder import RunFolder
from core.training.augment import Labelled
from tests.runs import ROOT, PlainTrainer, plain_config, tiny_config


class Stopped(PlainTrainer):
    """Is interrupted at the end of its first epoch."""

    def finish(self) -> None:
        """Stop before anything is recorded."""
        raise KeyboardInterrupt


@pytest.fixture
def root(tiny_demo: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_demo, tmp_path / "data"))


def stopped_run(root: Path, output_dir: Path) -> tuple[Config, Path]:
    """Return the configuration and folder of a run that was interrupted."""
    config = plain_config(tiny_config(root, output_dir))
    config = replace(config, data=replace(config.data, min_epoch_steps=2, cache=str(output_dir / "cache")))
    with pytest.raises(SystemExit):
        Stopped.main(config)
    (file,) = output_dir.glob("*/*/config.json")
    return config, file.parent


def resume_in_vain(config: Config, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what `--resume` says before it ends with status 2."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        PlainTrainer.main(replace(config, resume="last"))
    assert stop.value.code == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return line


def one_more(root: Path) -> None:
    table = pd.read_csv(root / "train_metadata.csv")
    row = table.iloc[:1].assign(filename=f"{table['primary_label'][0]}/new.ogg")
    source, target = (root / "train_audio" / name for name in (table["filename"][0], row["filename"].iloc[0]))
    shutil.copyfile(source, target)
    pd.concat([row, table]).to_csv(root / "train_metadata.csv", index=False)


def another_name(root: Path) -> None:
    table = pd.read_csv(root / "train_metadata.csv")
    code = table["primary_label"][0]
    for column in ("primary_label", "filename", "secondary_labels"):
        table[column] = table[column].astype(str).str.replace(code, "zzz1")
    (root / "train_audio" / code).rename(root / "train_audio" / "zzz1")
    table.to_csv(root / "train_metadata.csv", index=False)
    scored = json.loads((root / "scored_birds.json").read_text())
    (root / "scored_birds.json").write_text(json.dumps([one if one != code else "zzz1" for one in scored]))


def another_label(root: Path) -> None:
    table = pd.read_csv(root / "train_metadata.csv")
    table.loc[0, "secondary_labels"] = str([table["primary_label"].iloc[-1]])
    table.to_csv(root / "train_metadata.csv", index=False)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (one_more, "1 items are new, such as recording"),
        (another_name, "the species changed, new: zzz1"),
        (another_label, "labels of 1 items changed, such as recording"),
    ],
    ids=["recording", "species", "labels"],
)
def test_a_changed_data_set_is_refused_by_name(
    change: Callable[[Path], None], told: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, run = stopped_run(root, tmp_path / "out")
    change(root)
    line = resume_in_vain(config, capsys)
    assert told in line
    assert str(run) in line
    assert not (run / "summary.json").exists()


@pytest.mark.slow
def test_a_run_may_move_with_its_data(root: Path, tmp_path: Path) -> None:
    config, run = stopped_run(root, tmp_path / "out")
    moved, data = (tmp_path / "out").rename(tmp_path / "moved"), root.rename(tmp_path / "elsewhere")
    for which in ("last", run.name, str(moved / "tiny" / run.name)):
        words = [f"--resume={which}", f"--data.root={data}"]
        if not which.startswith("/"):
            words.append(f"--output_dir={moved}")
        settled = parse_config(config, words)
        assert settled.output_dir == str(moved)
    PlainTrainer.main(settled)
    assert (moved / "tiny" / run.name / "summary.json").exists()


def test_one_process_at_a_time(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, run = stopped_run(root, tmp_path / "out")
    script = (
        "import sys, pathlib; from core.files import holding\n"
        "with holding(pathlib.Path(sys.argv[1]) / 'lock'): print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(run)], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    line = resume_in_vain(config, capsys)
    assert f"{run}: process {other.pid} on " in line
    other.kill()
    other.communicate()
    assert (run / "lock").is_file(), "a killed process leaves it"
    with holding(run / "lock"):
        pass
    assert not (run / "lock").exists()


class Exploding(PlainTrainer):
    """Its losses are finite, its weights after the last step of the second epoch are not."""

    def compute_loss(self, output: Output, labels: Labelled) -> Tensor:
        """Return the loss; the last one has an infinite gradient where the learning rate is high."""
        losses = super().compute_loss(output, labels)
        is_last = self.progress.epoch == 1 and self.progress.step == self.loaders.batches.num_steps - 1
        if is_last and self.config.optim.lr > 1e-3:
            losses = (
                losses + (output.clip_logit.sum(dim=1) - output.clip_logit.sum(dim=1).detach()) * 3e38 * 3e38
            )
        return losses


def test_weights_that_are_not_finite_are_neither_saved_nor_finished(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = replace(plain_config(tiny_config(root, tmp_path / "out")), epochs=2)
    config = replace(config, data=replace(config.data, min_epoch_steps=1))
    with pytest.raises(SystemExit):
        Exploding.main(config)
    told = capsys.readouterr().err
    assert "error: epoch 2, step " in told
    assert "--optim.lr" in told
    assert ".ogg" in told
    (run,) = (tmp_path / "out").glob("*/*/")
    assert not RunFolder(run).is_finished
    weights = load_weights(run / "checkpoints" / "last")
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights.values())
    words = ["--resume", f"--output_dir={tmp_path / 'out'}", "--optim.lr=1e-4"]
    Exploding.main(parse_config(config, words))
    assert RunFolder(run).is_finished
    assert json.loads((run / "config.json").read_text())["optim"]["lr"] == 1e-4
