"""Write a sweep file for other data or more processes: python -m sweeps.adapt FILE --to=NEW [words].

`wandb agent` takes no words for its trials: they stand in the file's `command:`, and are put there like this:

python -m sweeps.adapt sweeps/mixup.yaml --to=mixup-demo.yaml --schedule=demo --epochs=4
python -m sweeps.adapt sweeps/mixup.yaml --to=mixup-2gpus.yaml --processes=2 --data.root=FOLDER
python -m sweeps.adapt sweeps/mixup.yaml --to=mixup-2cpus.yaml --processes=2 --cpu
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import yaml

from core.config import require
from core.config_checks import home_path, require_output
from core.files import write_atomically
from core.program import telling_mistakes
from sweeps.check import checked_sweep, keys_of
from sweeps.sweep_file import SweepFile

LAUNCHER_WORDS = ("--num_processes", "--multi_gpu", "--main_process_port")
ON_CPU = "ACCELERATE_USE_CPU=true"


def _adapted_text(sweep: SweepFile, words: Sequence[str], processes: int | None, *, cpu: bool) -> str:
    """Return the text of a sweep file that says more to every trial."""
    content = yaml.safe_load(sweep.text)
    replaced, entries = set(keys_of(words)), content["parameters"]
    content["parameters"] = {key: entry for key, entry in entries.items() if key not in replaced}
    command = list(sweep.command) if processes is None else _with_processes(sweep, processes, cpu=cpu)
    content["command"] = [*command, *words]
    text = yaml.safe_dump(content, sort_keys=False, width=10**6)
    return f"# {sweep.question}\n{text}" if sweep.question else text


def _with_processes(sweep: SweepFile, processes: int, *, cpu: bool) -> list[str]:
    """Return a file's command with another number of processes."""
    words = list(sweep.command)
    launched = "launch" in words[: words.index("${program}")]
    require(launched, f"{sweep.file}: command: --processes needs one with accelerate launch")
    words = [word for word in words if word.partition("=")[0] not in LAUNCHER_WORDS and word != ON_CPU]
    several = ["--multi_gpu", "--main_process_port=0"] if processes > 1 else []
    place = words.index("launch") + 1
    words[place:place] = [f"--num_processes={processes}", *several]
    return ["${env}", ON_CPU, *(word for word in words if word != "${env}")] if cpu else words


def main() -> None:
    """Write the new file, checked."""
    parser = argparse.ArgumentParser(
        prog="python -m sweeps.adapt",
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help="the sweep file")
    parser.add_argument("--to", type=home_path, required=True, help="the file to write")
    parser.add_argument("--processes", type=int, help="processes of every trial")
    parser.add_argument("--cpu", action="store_true", help="they share the CPU")
    given, words = parser.parse_known_args()
    with telling_mistakes():
        require(given.processes is None or given.processes >= 1, f"--processes={given.processes}: at least 1")
        require(given.to.resolve() != given.file.resolve(), f"--to={given.to}: is the file itself")
        require_output("--to", given.to)
        sweep = checked_sweep(given.file, words)
        write_atomically(given.to, _adapted_text(sweep, words, given.processes, cpu=given.cpu))
        checked_sweep(given.to)
    print(given.to)


if __name__ == "__main__":
    main()
