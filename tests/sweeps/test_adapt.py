"""Sweep files for other data and more processes."""

from pathlib import Path

import pytest
import yaml

from sweeps.check import checked_sweep
from tests.programs import refusal, run_program
from tests.runs import ROOT

MIXUP = ROOT / "sweeps" / "mixup.yaml"


def adapt(tmp_path: Path, *words: str, file: Path = MIXUP) -> list[str]:
    """Return the command of an adapted file."""
    new = tmp_path / "new.yaml"
    run_program("sweeps.adapt", file, f"--to={new}", *words)
    assert new.read_text().splitlines()[0] == file.read_text().splitlines()[0]
    checked_sweep(new)
    command: list[str] = yaml.safe_load(new.read_text())["command"]
    return command


def test_words_stand_behind_the_parameters(tmp_path: Path) -> None:
    command = adapt(tmp_path, "--schedule=demo", "--epochs=2")
    assert command[-4:] == ["${program}", "${args}", "--schedule=demo", "--epochs=2"]
    assert command[:3] == ["${env}", "accelerate", "launch"]


def test_a_constant_is_replaced(tmp_path: Path) -> None:
    backbone = ROOT / "sweeps" / "backbone.yaml"
    command = adapt(tmp_path, "--model.pretrained=False", file=backbone)
    assert command[-1] == "--model.pretrained=False"
    assert "model.pretrained" not in yaml.safe_load((tmp_path / "new.yaml").read_text())["parameters"]


def test_processes_have_a_gpu_each_or_share_the_cpu(tmp_path: Path) -> None:
    gpus = adapt(tmp_path, "--processes=4")
    assert gpus[:3] == ["${env}", "accelerate", "launch"]
    assert gpus[3:6] == ["--num_processes=4", "--multi_gpu", "--main_process_port=0"]
    cpus = adapt(tmp_path, "--processes=2", "--cpu")
    assert cpus[:4] == ["${env}", "ACCELERATE_USE_CPU=true", "accelerate", "launch"]
    assert [word for word in cpus if word.startswith("--num_processes")] == ["--num_processes=2"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--epohcs=2"], "Unrecognized options"),
        (["--mixup.alpha=1.0"], "mixup.alpha is swept"),
        (["--processes=0"], "--processes=0: at least 1"),
        ([f"--to={MIXUP}"], "is the file itself"),
    ],
)
def test_mistakes_write_no_file(tmp_path: Path, words: list[str], said: str) -> None:
    new = tmp_path / "new.yaml"
    assert said in refusal("sweeps.adapt", MIXUP, f"--to={new}", *words)
    assert not new.exists()


def test_an_adapted_file_is_not_given_the_same_word_again(tmp_path: Path) -> None:
    adapt(tmp_path, "--epochs=2")
    with pytest.raises(ValueError, match="--epochs: the file's command gives it already"):
        checked_sweep(tmp_path / "new.yaml", ["--epochs=3"])
