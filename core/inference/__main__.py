"""Predict soundscapes: python -m core.inference --checkpoints RUN ... --soundscapes FOLDER --out FILE.

python -m core.inference --help
python -m core.inference export --checkpoints RUN ... --soundscapes FOLDER --out FOLDER
python -m core.inference bundle --exported FOLDER --out bundle.zip
python -m core.inference check submission.csv --sample sample_submission.csv
"""

import importlib
import sys

import tyro

from core.inference.config import BundleConfig, CheckConfig, ExportConfig, InferenceConfig

COMMANDS: dict[str, tuple[type, str, str]] = {
    "predict": (InferenceConfig, "core.inference.run", "predict"),
    "export": (ExportConfig, "core.inference.engines.export", "export"),
    "bundle": (BundleConfig, "core.inference.engines.bundle", "bundle"),
    "check": (CheckConfig, "core.inference.submission", "check"),
}
"""First word -> its settings, and the module (which may import torch) and function that run with them."""


def main() -> None:
    """Run the main command, or the one that the first word names; a mistake is one line, with status 2."""
    words = sys.argv[1:]
    command = words.pop(0) if words and words[0] in COMMANDS else "predict"
    kind, module, function = COMMANDS[command]
    program = f"python -m core.inference {command}".removesuffix(" predict")
    try:
        config: object = tyro.cli(
            kind, args=words, prog=program, description=kind.__doc__, use_underscores=True
        )
        getattr(importlib.import_module(module), function)(config)
    except ValueError as error:  # of the settings, the checkpoints or the files
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
