"""Every command of the README and the guides runs, in the order of its document, on tiny data."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.data.demo.build import demo_root, tiny_plan
from tests.analysis.sweeps import MadeTrial, mixup_values, write_sweep
from tests.folders import make_year
from tests.programs import run_program
from tests.runs import ROOT, TINY_WORDS

DEMO = demo_root()
DOCUMENTS = (
    "README.md",
    "sweeps/README.md",
    *sorted(str(file.relative_to(ROOT)) for file in (ROOT / "docs").glob("*.md")),
)
SHORT = ("--epochs=1", "--schedule=full", "--tracking.use=False", "--data.soundscapes=validate")
TARGETS = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)


def commands_of(document: str) -> Iterator[list[str]]:
    """Yield the words of each command: those of shell blocks, and of the README's table of questions."""
    text = (ROOT / document).read_text()
    lines = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).splitlines()
    lines += re.findall(r"^\| [^|]+\? \| `([^`]+)` \|$", text, re.MULTILINE)
    yield from (words for line in lines if (words := shlex.split(line, comments=True)))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_demo: Path) -> Path:
    """Return a folder as a user has it: the programs, data and two runs."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "data").mkdir()
    for name in (DEMO.name, "birdclef-2022"):
        (folder / "data" / name).symlink_to(tiny_demo)
    make_year(folder / "data" / "birdclef-2026", 2026)
    (folder / "sweeps").symlink_to(ROOT / "sweeps")
    (folder / "experiments").mkdir()
    for path in (ROOT / "experiments").iterdir():
        (folder / "experiments" / path.name).symlink_to(path)
    for name in ("timm_008", "timm_007"):
        for seed in (0, 1):
            words = (f"--data.root={DEMO}", "--data.fold=all", f"--seed={seed}")
            train(folder, f"experiments/{name}/run.py", *words)
    write_sweep(
        folder / "outputs" / "sweeps" / "ID",
        [MadeTrial(mixup_values(number, np.random.default_rng(number))) for number in range(3)],
    )
    return folder


def train(folder: Path, program: str, *words: str) -> None:
    """Run an experiment for an epoch of a tiny network."""
    start(folder, program, *TINY_WORDS, *SHORT, *words)


def start(folder: Path, *words: str) -> None:
    """Run a program of its own to its end."""
    environment = os.environ | {"PYTHONPATH": f"{folder}:{ROOT}"}
    command = [sys.executable, *words]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stderr[-2000:]}"


def all_runs(folder: Path) -> list[str]:
    """Return the runs of all folds, the oldest first."""
    found = sorted(folder.glob("outputs/timm_*/*-all"), key=lambda run: run.name)
    return [str(run.relative_to(folder)) for run in found]


def filled(words: list[str], run: str, other: str) -> list[str]:
    """Return words with runs and folders in the place of their names."""
    whole = {"RUN": run, "A": run, "OTHER": other, "B": other, "FOLDER": str(DEMO)}
    whole |= {"ANNOTATIONS": f"{DEMO}/train_soundscapes_labels.csv", "test.csv": f"{DEMO}/test.csv"}
    whole["SPECIES"] = tiny_plan().scored[0]
    parts = {"FOLDER/": f"{DEMO}/", "=FOLDER": f"={DEMO}", "=RUN": f"={run}"}
    words = [whole.get(word, word) for word in words]
    words += ["--splits=2"] if {"analysis.thresholds", "analysis.ensemble"} & set(words) else []
    for name, meant in parts.items():
        words = [word.replace(name, meant) for word in words]
    return words


def run_command(words: list[str], folder: Path) -> None:
    """Run one command of a document."""
    if words[0] == "make":
        assert words[1] in TARGETS
    elif words[0] in {".ci/run", "pip"}:
        assert (ROOT / words[-1]).exists()
    elif words[0] in {"wandb", "for"}:  # the clients run in tests/sweeps/test_wandb_clients.py
        assert all((folder / word).exists() for word in words if word.endswith(".yaml"))
    elif "sweeps.local" in words:
        words = [word for word in words[1:] if not word.isdigit() and word not in {"--count", "--jobs"}]
        start(folder, *words, "--count=1", *TINY_WORDS, *SHORT, f"--data.root={DEMO}")
    elif "-m" in words:
        after = words.index("-m") + 1
        assert not status_of(words[after], *words[after + 1 :]), words
    else:
        program = next(word for word in words if word.endswith("run.py"))
        given = words[words.index(program) + 1 :]
        if "--help" in given or any(word.startswith("--resume=") for word in given):
            start(folder, program, *given)
        elif "--resume" not in given:  # which would go on with a run that nothing stopped
            root = [] if any("root" in word for word in given) else [f"--data.root={DEMO}"]
            train(folder, program, *root, *given)


def hear_sample(folder: Path) -> None:
    """Write the verdicts of somebody who hears the species in every second clip of a survey."""
    sample = pd.read_csv(folder / "survey" / "sample.csv")
    kinds = np.where(np.arange(len(sample)) % 2, "positive", "negative")
    verdicts = {"filename": sample["file_id"] + ".ogg", "window_offset_s": sample["begin"]}
    table = pd.DataFrame({**verdicts, "label": sample["species"], "label_type": kinds})
    table.to_csv(folder / "verdicts.csv", index=False)


def status_of(module: str, *words: str) -> object:
    """Run a program in this process; return the status with which it ends."""
    try:
        run_program(module, *words)
    except SystemExit as ended:
        return ended.code
    return None


@pytest.mark.slow
@pytest.mark.parametrize("document", [one for one in DOCUMENTS if list(commands_of(one))])
def test_the_commands_of_a_document_run(document: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    for file, code in code_of(document).items():
        target = place / "experiments" / "mine" / file
        target.parent.mkdir(exist_ok=True)
        target.write_text(code)
        (target.parent / "__init__.py").touch()
    before = all_runs(place)
    for words in commands_of(document):
        if "--verdicts" in words:
            hear_sample(place)
        if not needs_birdnet(words):
            run = [before[1], *(one for one in all_runs(place) if one not in before)][-1]
            run_command(filled(words, run, before[0]), place)


def code_of(document: str) -> dict[str, str]:
    """Return the files that a document tells to write."""
    text = (ROOT / document).read_text()
    blocks = re.findall(r"^\d\. `(\w+\.py)`.*?```python\n(.*?)```", text, re.DOTALL | re.MULTILINE)
    return {file: re.sub(r"^   ", "", code, flags=re.MULTILINE) for file, code in blocks}


def needs_birdnet(words: list[str]) -> bool:
    """Return whether a command takes a model that is installed by choice."""
    return "experiments/probe_015/run.py" in words
