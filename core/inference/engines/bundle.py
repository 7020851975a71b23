"""The command `bundle`: an export, the code and a list of wheels in one folder that runs without internet.

Made for notebooks such as Kaggle's: the folder (or zip) is attached as a data set, its wheels are installed
from it, and `predict.py` is the main command with the models named. torch and its companions are left to
the machine, as every such notebook has them.
"""

import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from core.files import write_atomically
from core.inference.config import BundleConfig
from core.inference.engines.export import open_export
from core.machine import PROJECT

LEFT_TO_THE_MACHINE = frozenset({"torch", "torchvision", "torchaudio"})
RUNTIME_PACKAGES = (
    "timm", "safetensors", "huggingface_hub", "numpy", "scipy", "pandas", "pyarrow", "scikit-learn",
    "soundfile", "soxr", "tqdm", "tyro", "onnxruntime", "openvino",
)  # fmt: skip
CODE_PACKAGES = ("core", "experiments")
PREDICT = '''"""Predict soundscapes: python predict.py --soundscapes FOLDER --out submission.csv [--help]."""

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "code"))
sys.argv = [sys.argv[0], f"--exported={HERE / 'models'}", *sys.argv[1:]]
runpy.run_module("core.inference", run_name="__main__")
'''
README = """Models, code and a list of wheels: predicts soundscapes without internet.

    pip install --no-index --find-links wheels -r requirements.txt
    python predict.py --soundscapes FOLDER --out submission.csv

Python {python}, and torch {torch} with torchvision and torchaudio of the same release, are the machine's.
{wheels}
"""
WITH_WHEELS = "The wheels lie in wheels/."
WITHOUT_WHEELS = (
    "wheels/ is empty. Where there is internet: pip download --no-deps -r requirements.txt -d wheels"
)


def bundle(config: BundleConfig) -> Path:
    """Write the bundle; return its path.

    Raises
    ------
    ValueError
        If the export is none, or wheels cannot be downloaded.
    """
    out = Path(config.out)
    open_export(Path(config.exported))  # whole and loadable, or an error now rather than there
    zipped = out.suffix == ".zip"
    folder = out.with_name(f".{out.name}.part")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        _write_contents(folder, config)
        if zipped:
            shutil.make_archive(str(folder), "zip", folder)
            folder.with_name(f"{folder.name}.zip").replace(out)
        else:
            folder.replace(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{out}: {_size_mb(out):.0f} MB", flush=True)
    return out


def _write_contents(folder: Path, config: BundleConfig) -> None:
    """Write models, code, list of wheels and texts into a new folder, as `config` wishes."""
    shutil.copytree(config.exported, folder / "models")
    for package in CODE_PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "*.md")
        shutil.copytree(PROJECT / package, folder / "code" / package, ignore=ignored)
    pins = wheels_list()
    write_atomically(folder / "requirements.txt", "\n".join(pins) + "\n")
    (folder / "wheels").mkdir()
    if config.download:
        _download_wheels(folder)
    text = README.format(
        python=".".join(map(str, sys.version_info[:2])),
        torch=importlib.metadata.version("torch"),
        wheels=WITH_WHEELS if config.download else WITHOUT_WHEELS,
    )
    write_atomically(folder / "README.txt", text)
    write_atomically(folder / "predict.py", PREDICT)


def wheels_list() -> list[str]:
    """Return `name==version` of all that inference needs beside torch, as it is installed here."""
    found: dict[str, str] = {}
    waiting = [*RUNTIME_PACKAGES]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found or name in LEFT_TO_THE_MACHINE:
            continue
        package = importlib.metadata.distribution(name)
        found[name] = package.version
        requirements = [Requirement(text) for text in package.requires or []]
        waiting += [r.name for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def _download_wheels(folder: Path) -> None:
    """Fetch the listed wheels."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    words = [*command, "-r", str(folder / "requirements.txt"), "-d", str(folder / "wheels")]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    if result.returncode:
        message = f"download: pip could not fetch the wheels: {result.stderr.strip()[-500:]}"
        raise ValueError(message)


def _size_mb(path: Path) -> float:
    """Return the size of a file, or of all files in a folder, in MB."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6
