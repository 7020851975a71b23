"""Predict soundscapes: python -m core.inference --checkpoints RUN ... --soundscapes FOLDER --out FILE.

python -m core.inference --help
python -m core.inference export --checkpoints RUN ... --soundscapes FOLDER --out FOLDER
python -m core.inference bundle --exported FOLDER --out bundle.zip
python -m core.inference check submission.csv --test test.csv
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import tyro

from core.inference.config import BundleConfig, ExportConfig, InferenceConfig

_C = TypeVar("_C")


def main() -> None:
    """Run the main command, or the one that the first word names."""
    commands = {"check": check, "export": run_export, "bundle": run_bundle}
    if len(sys.argv) > 1 and sys.argv[1] in commands:
        commands[sys.argv[1]](sys.argv[2:])
        return
    with told():
        config = tyro.cli(InferenceConfig, description=__doc__, use_underscores=True)
        from core.inference.run import predict

        predict(config)


@contextmanager
def told() -> Iterator[None]:
    """End the program with one line for what a person can put right."""
    try:
        yield
    except ValueError as error:  # of the settings, the checkpoints or the files
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def run_export(words: list[str]) -> None:
    """Write an ensemble for several engines, with a parity report."""
    with told():
        config = parse(ExportConfig, "export", words)
        from core.inference.engines.export import export as write

        write(config)


def run_bundle(words: list[str]) -> None:
    """Write models, code and a list of wheels into one folder or zip."""
    with told():
        config = parse(BundleConfig, "bundle", words)
        from core.inference.engines.bundle import bundle as write

        write(config)


def parse(kind: type[_C], command: str, words: list[str]) -> _C:
    """Return a command's settings from its words."""
    return tyro.cli(
        kind,
        args=words,
        prog=f"python -m core.inference {command}",
        description=kind.__doc__,
        use_underscores=True,
    )


def check(words: list[str]) -> None:
    """Say whether a submission is right; exit with 1 when it is not."""
    parser = argparse.ArgumentParser(prog="python -m core.inference check", description=check.__doc__)
    parser.add_argument("submission", type=Path)
    parser.add_argument("--test", type=Path, required=True, help="the competition's test.csv")
    given = parser.parse_args(words)
    from core.inference.submission import check_submission

    problems = check_submission(given.submission, given.test)
    print("\n".join(problems) if problems else f"{given.submission}: right")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
