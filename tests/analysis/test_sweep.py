"""`python -m analysis.sweep` from a folder to words, tables and figures."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.analysis.sweeps import MadeTrial, mixup_values, write_sweep
from tests.programs import refusal, run_program


@dataclass(frozen=True)
class Done:
    """What the program printed, and where it wrote."""

    told: str
    folder: Path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Return the analysis of a sweep in which mixup.alpha matters, one trial failed, one was stopped."""
    generator = np.random.default_rng(0)
    trials = []
    for number in range(14):
        values = mixup_values(number, generator)
        skill = 1.6 + 0.5 * np.log10(values["mixup.alpha"]) + 0.05 * generator.standard_normal()
        trials.append(MadeTrial(values, float(skill), speed=float(generator.uniform(20, 30))))
    trials[3].state, trials[3].skill = "failed", None
    trials[8].state, trials[8].value = "stopped", 0.55
    folder = write_sweep(tmp_path_factory.mktemp("outputs") / "mine-1", trials)
    return Done(run(folder, "--format=svg"), folder / "analysis")


def run(*words: object) -> str:
    return run_program("analysis.sweep", *words, "--resamples=200", "--flips=200")


def test_a_sweep_is_told_in_words(done: Done) -> None:
    assert done.told.startswith(
        "mine: How much?\nrandom sweep, maximize valid/macro_auc; "
        "14 trials: 12 finished, 1 stopped, 1 failed\n"
    )
    assert "trial state macro ROC-AUC clips/s minutes kind alpha probability" in " ".join(done.told.split())
    rows = [" ".join(line.split()) for line in done.told.splitlines()]
    assert any(row.startswith("trial 8 stopped 0.550 (no interval) ") for row in rows)
    assert any(row.startswith("trial 3 failed undefined ") for row in rows)
    for part in (
        "\nWithout a final valid/macro_auc, not compared and in no figure: 2.\n",
        "(corrected for the choice of the best of 12)",
        "Marginal effects on macro ROC-AUC, over 12 trials; each interval by itself, not "
        "corrected for the number of parameters:\n  loss.kind: ",
        "\n  mixup.alpha: +0.",
        "log; 12 trials: only large effects show",
        "Stopped trials are left out",
        " once more:\n  /usr/bin/env ",
        " run.py --mixup.alpha=",
        "  Caution: 12 trials for 3 parameters: a hint at most (wanted: 30).",
        "Not beaten in both macro ROC-AUC and clips per second",
        f"Written to {done.folder}: trials.csv, marginal_effects.csv, importance.csv, trials.svg",
    ):
        assert part in done.told


def test_tables_and_figures_lie_in_the_sweeps_folder(done: Done) -> None:
    figures = {
        "trials",
        "throughput",
        "history",
        "learning_curves",
        "parallel_coordinates",
        "marginal_effects",
        "importance",
    }
    figures |= {"most_important_pair"}
    assert {file.stem for file in done.folder.glob("*.svg")} == figures
    trials = pd.read_csv(done.folder / "trials.csv")
    assert len(trials) == 14
    finished = trials[trials["state"] == "finished"]
    assert (finished["valid/macro_auc"].diff().dropna() <= 0).all()
    assert (finished["valid/macro_auc low"] < finished["valid/macro_auc"]).all()
    assert finished["p_corrected"].notna().sum() == 11
    assert finished["on_front"].any()
    effects = pd.read_csv(done.folder / "marginal_effects.csv")
    of_alpha = effects[(effects["parameter"] == "mixup.alpha") & (effects["what"] == "change")]
    assert of_alpha["value low"].item() > 0
    assert set(effects["what"]) == {"change", "curve", "mean"}
    assert pd.read_csv(done.folder / "importance.csv")["parameter"][0] == "mixup.alpha"


def test_captions_are_in_the_files(done: Done) -> None:
    text = (done.folder / "marginal_effects.svg").read_text()
    assert "12 finished trials of the sweep mine (2 others left out), a point each" in text
    assert "mixup.alpha" in text


def test_one_trial_is_enough_for_a_table(tmp_path: Path) -> None:
    values = mixup_values(0, np.random.default_rng(0))
    told = run(write_sweep(tmp_path / "one", [MadeTrial(values)]))
    assert "trial 0 stands alone: no other can be compared" in told
    assert "Written to" in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["outputs/sweeps/missing"], "outputs/sweeps/missing: no such folder of a sweep"),
        (["missing"], "missing: no such folder of a sweep"),
        (["."], "not the folder of a sweep, it has no sweep.json"),
        ([".", "--confidence=95"], "confidence=95.0: between 0 and 1"),
    ],
)
def test_mistakes_are_named(
    words: list[str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "outputs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert told in refusal("analysis.sweep", *words)
