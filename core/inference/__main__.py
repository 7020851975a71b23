"""Predict soundscapes: python -m core.inference --checkpoints RUN ... --soundscapes FOLDER --out FILE.

python -m core.inference --help
python -m core.inference export --checkpoints RUN ... --soundscapes FOLDER --out FOLDER
python -m core.inference bundle --exported FOLDER --out bundle.zip
python -m core.inference check submission.csv --sample sample_submission.csv
"""

import importlib
import sys

from core.inference.config import BundleConfig, CheckConfig, ExportConfig, InferenceConfig
from core.program import run_program

COMMANDS: dict[str, tuple[type, str, str]] = {
    "predict": (InferenceConfig, "core.inference.run", "predict"),
    "export": (ExportConfig, "core.inference.engines.export", "export"),
    "bundle": (BundleConfig, "core.inference.engines.bundle", "bundle"),
    "check": (CheckConfig, "core.inference.check", "check"),
}
"""First word -> its settings, and the module (which may import torch) and function that run with them."""


def main() -> None:
    """Run the main command, or the one that the first word names; a mistake is one line, with status 2."""
    words = sys.argv[1:]
    command = words.pop(0) if words and words[0] in COMMANDS else "predict"
    kind, module, function = COMMANDS[command]
    run_program(kind, lambda config: getattr(importlib.import_module(module), function)(config), words)


if __name__ == "__main__":
    main()
