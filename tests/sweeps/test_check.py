"""Sweep files are checked against the programs they start."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sweeps.check import checked_sweep
from tests.runs import ROOT

FILES = sorted((ROOT / "sweeps").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_shipped_sweeps_are_right_and_ask_a_question(file: Path) -> None:
    sweep = checked_sweep(file)
    first = file.read_text().splitlines()[0]
    assert first.startswith("# ")
    assert "?" in first
    assert sweep.question == first.removeprefix("# ")
    assert sweep.name == file.stem
    assert sweep.command[:3] == ("${env}", "accelerate", "launch")


def changed(tmp_path: Path, **change: object) -> Path:
    """Return a copy of the mixup sweep with entries replaced."""
    sweep = yaml.safe_load((ROOT / "sweeps" / "mixup.yaml").read_text())
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(sweep | change))
    return file


@pytest.mark.parametrize(
    ("key", "entry", "said"),
    [
        ("mixup.alhpa", {"values": [0.4]}, "mixup.alpha"),
        ("mixup.alpha", {"values": ["much"]}, "mixup.alpha"),
        ("mixup.alpha", {"values": [0.4, -1.0]}, "mixup.alpha=-1.0: must be positive"),
        ("mixup.probability", {"min": 0.5, "max": 1.5}, "between 0 and 1"),
        ("mixup.alpha", {"min": 2.0, "max": 1.0}, "min=2.0 is not below max=1.0"),
        ("optim.lr", {"min": "1e-4", "max": 0.01}, "write 1.0e-3, not 1e-3"),
        ("loss.kind", {"values": ["focal", "hinge"]}, "hinge"),
        ("seed", {"value": 1.5}, "seed"),
        ("seed", {"valeus": [1]}, "seed: needs value, a list of values"),
        ("seed", {"values": []}, "seed: needs value, a list of values"),
        ("seed", 3, "seed: needs value, a list of values"),
        ("seed", {"distribution": "uniforn", "min": 0, "max": 1}, "distribution=uniforn: one of constant"),
        ("seed", {"distribution": "normal", "min": 0, "max": 1}, "max, min does not go with"),
        ("seed", {"distribution": "int_uniform", "min": 0.5, "max": 2}, "int_uniform needs whole numbers"),
        ("optim.lr", {"distribution": "log_uniform_values", "min": 0, "max": 1}, "must be positive"),
        ("optim.lr", {"distribution": "normal", "mu": 0.001, "sigma": 0.01}, "must be positive"),
        ("optim.lr", {"distribution": "q_uniform", "min": 0.1, "max": 1.0, "q": 0}, "q=0: must be positive"),
        ("seed", {"values": [1, 2], "probabilities": [0.5, 0.6]}, "add up to 1.1"),
        ("seed", {"values": [1, 2], "probabilities": [1.0]}, "one number for each value"),
        ("data.fold", {"values": [0, "all"]}, "a trial is one run"),
        ("data.fold", {"value": None}, "validates nothing"),
        ("resume", {"value": True}, "a sweep goes on by itself"),
        ("mixup", {"value": {"alpha": 0.4}}, "name the fields, such as mixup.FIELD"),
        ("mixup", {"parameters": {"alhpa": {"value": 0.4}}}, "mixup.alhpa"),
    ],
)
def test_mistakes_name_the_file_and_the_key(tmp_path: Path, key: str, entry: object, said: str) -> None:
    file = changed(tmp_path, parameters={"epochs": {"values": [3, 5]}, key: entry})
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        checked_sweep(file)
    assert str(error.value).startswith(f"{file}: ")
    assert key in str(error.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"methd": "grid"}, "unknown key methd"),
        ({"method": "gird"}, "method=gird: one of grid, random, bayes"),
        (
            {"program": "experiments/timm_999/run.py"},
            "timm_999/run.py: no such experiment",
        ),
        ({"program": "../other/run.py"}, "no such experiment"),
        ({"metric": {"name": "valid/score", "goal": "best"}}, "goal: maximize or minimize"),
        (
            {"command": ["${env}", "python", "${program}"]},
            "needs ${program} once and behind it ${args} once, found ${program}",
        ),
        ({"command": ["python", "${args}"]}, "behind it ${args} once, found ${args}"),
        ({"command": ["python", "${program}", "${args_json}"]}, "${args_json} is not supported"),
        ({"command": ["python", "${program}", "${args_no_hyphens}"]}, "${args_no_hyphens} is not supported"),
        ({"command": ["python", "${args}", "${program}"]}, "found ${args} ${program}"),
        ({"command": ["python", "${program}", "--epochs=none", "${args}"]}, "--epochs=none"),
        ({"metric": {"name": "valid/scroe", "goal": "maximize"}}, "name=valid/scroe: nothing logs that"),
        ({"metric": {"name": "valid/score", "goal": "maximize", "target": 1}}, "needs a name, and goal"),
        ({"method": "grid"}, "method grid goes through values; it cannot through a log_uniform_values"),
        ({"run_cap": 0}, "run_cap=0"),
        ({"early_terminate": {"type": "median"}}, "early_terminate: type=median: only hyperband"),
        ({"early_terminate": {"type": "hyperband"}}, "and min_iter, or max_iter and s"),
        ({"early_terminate": {"type": "hyperband", "min_iters": 3}}, "unknown key min_iters"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 0}}, "min_iter=0: at least 1"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 3, "eta": 1}}, "eta=1: a number above 1"),
        (
            {"early_terminate": {"type": "hyperband", "max_iter": 27}},
            "max_iter and s, the number of brackets",
        ),
        ({"method": "bayes", "parameters": {"seed": {"value": 1}}}, "all are constant"),
        (
            {"method": "bayes", "parameters": {"seed": {"values": [1, 2], "probabilities": [0.5, 0.5]}}},
            "seed: method bayes takes no probabilities",
        ),
    ],
)
def test_mistakes_beside_the_parameters(tmp_path: Path, change: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        checked_sweep(changed(tmp_path, **change))


def test_values_that_cannot_come_together_are_told(tmp_path: Path) -> None:
    low, high = {"values": [0.0, 9000.0]}, {"values": [8000.0, 16000.0]}
    file = changed(tmp_path, parameters={"features.f_min_hz": low, "features.f_max_hz": high})
    with pytest.raises(
        ValueError, match=r"f_max_hz=8000.0, features.f_min_hz=9000.0, which may come together"
    ):
        checked_sweep(file)


def test_nested_parameters_are_the_dotted_ones(tmp_path: Path) -> None:
    nested = {"mixup": {"parameters": {"alpha": {"values": [0.2, 0.4]}}}, "epochs": {"value": 2}}
    sweep = checked_sweep(changed(tmp_path, parameters=nested))
    assert [parameter.key for parameter in sweep.parameters] == ["epochs", "mixup.alpha"]
    both = nested | {"mixup.alpha": {"value": 0.1}}
    with pytest.raises(ValueError, match=r"mixup.alpha: given twice"):
        checked_sweep(changed(tmp_path, parameters=both))


def test_words_replace_constants_and_not_what_is_swept(tmp_path: Path) -> None:
    file = changed(tmp_path, parameters={"seed": {"values": [1, 2]}, "epochs": {"value": 9}})
    assert [parameter.key for parameter in checked_sweep(file, ["--epochs=2"]).parameters] == ["seed"]
    with pytest.raises(ValueError, match=r"seed is swept; --seed cannot be given beside it"):
        checked_sweep(file, ["--seed=3"])
    with pytest.raises(ValueError, match=r"--epohcs=2: Unrecognized options"):
        checked_sweep(file, ["--epohcs=2"])
    with pytest.raises(ValueError, match=r"resume: a sweep goes on by itself"):
        checked_sweep(file, ["--resume"])


def test_a_key_that_is_there_twice_is_told(tmp_path: Path) -> None:
    text = (ROOT / "sweeps" / "mixup.yaml").read_text()
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace("parameters:", "parameters:\n  mixup.alpha: {value: 0.3}", 1))
    with pytest.raises(ValueError, match=r"the key mixup.alpha is given twice"):
        checked_sweep(file)


def test_files_that_are_no_sweeps(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    for text, said in (
        ("a: [", "not readable as yaml"),
        ("- a", "no mapping"),
        ("method: grid", "no program"),
    ):
        file.write_text(text)
        with pytest.raises(ValueError, match=said):
            checked_sweep(file)


def test_the_command_answers_within_a_second_and_without_torch(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text((ROOT / "sweeps" / "mixup.yaml").read_text().replace("mixup.alpha", "mixup.alhpa"))
    script = (
        "import runpy, sys\n"
        f"sys.argv = ['check', {str(file)!r}]\n"
        "try:\n    runpy.run_module('sweeps.check', run_name='__main__')\n"
        "except SystemExit as stop:\n    print('torch' in sys.modules, stop.code)\n"
    )
    seconds = []  # of computing, which other work on the machine hardly changes
    for _ in range(3):
        before = os.times()
        result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        after = os.times()
        seconds.append(sum(after[2:4]) - sum(before[2:4]))
    assert result.stdout.split() == ["False", "1"]
    assert "mixup.alhpa" in result.stderr
    assert min(seconds) < 1.0
