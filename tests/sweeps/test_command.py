"""The command of a sweep file against what W&B's agent makes of it."""

import sys
from typing import Any

import pytest
from wandb.sdk.launch.sweeps import utils as wandb_sweeps

from sweeps.command import check_command, fixed_words, num_processes, trial_command

PARAMETERS: dict[str, Any] = {
    "mixup.alpha": 0.4, "data.fold": None, "tracking.use": False, "optim.betas": [0.9, 0.98], "seed": 7,
}  # fmt: skip


@pytest.mark.parametrize("macro", ["args", "args_no_equals"])
def test_parameters_become_the_words_that_wandb_makes(macro: str) -> None:
    given = {"args": {key: {"value": value} for key, value in PARAMETERS.items()}}
    expected = wandb_sweeps.create_sweep_command_args(given)[macro]
    command = check_command(["python", "${program}", f"${{{macro}}}"])
    assert trial_command(command, "run.py", PARAMETERS) == ["python", "run.py", *expected]


def test_macros_of_the_surroundings_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKERS", "3")
    workers = "--data.num_workers=${envvar:WORKERS}"
    command = check_command(["${env}", "A=1", "${interpreter}", "${program}", workers, "${args}"])
    words = trial_command(command, "run.py", {"seed": 1}, ["--resume=last"])
    assert words[:4] == ["/usr/bin/env", "A=1", sys.executable, "run.py"]
    assert words[4:] == ["--data.num_workers=3", "--seed=1", "--resume=last"]
    assert fixed_words(command) == ["--data.num_workers=3"]


def test_a_variable_that_is_not_set_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKERS", raising=False)
    command = check_command(["python", "${program}", "--data.num_workers=${envvar:WORKERS}", "${args}"])
    with pytest.raises(ValueError, match="the variable WORKERS is not set here"):
        fixed_words(command)


def test_the_number_of_processes_is_read_from_the_launcher() -> None:
    assert num_processes(["accelerate", "launch", "--num_processes=2", "${program}"]) == 2
    assert num_processes(["accelerate", "launch", "--num_processes", "4", "${program}"]) == 4
    assert num_processes(["torchrun", "--nproc_per_node", "8", "${program}"]) == 8
    assert num_processes(["python", "${program}"]) == 1
