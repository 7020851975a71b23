"""From scores to ecology: a random sample to listen to, call density, detection histories.

python -m analysis.survey sample PREDICTIONS --species CODE --soundscapes FOLDER
python -m analysis.survey density PREDICTIONS --verdicts FILE
python -m analysis.survey histories PREDICTIONS --species CODE --threshold 0.9
"""

import importlib
import sys

from analysis.survey.config import DensityConfig, HistoriesConfig, SampleConfig
from core.program import exit_with, run_program

SURVEY_COMMANDS: dict[str, tuple[type, str, str]] = {
    "sample": (SampleConfig, "analysis.survey.sample", "write_sample"),
    "density": (DensityConfig, "analysis.survey.density", "estimate_density"),
    "histories": (HistoriesConfig, "analysis.survey.histories", "write_histories"),
}
"""First word -> its settings, and the module (which may import torch) and function that run with them."""


def main() -> None:
    """Run the command that the first word names; a mistake is one line, with status 2."""
    words = sys.argv[1:]
    if words[:1] in (["--help"], ["-h"]):
        print(__doc__)
        return
    if not words or words[0] not in SURVEY_COMMANDS:
        exit_with(f"{' '.join(words[:1]) or 'no command'}: name one of {', '.join(SURVEY_COMMANDS)}")
    kind, module, function = SURVEY_COMMANDS[words[0]]
    run_program(kind, lambda config: getattr(importlib.import_module(module), function)(config), words[1:])


if __name__ == "__main__":
    main()
