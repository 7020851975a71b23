"""Who may import whom, one name for one thing, and how long a function may be.

Arrows run from data and models over scoring to training and inference, never back. What is not mended yet is
listed in the constants whose names begin with LEFT: these lists only ever shrink.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(
    path
    for folder in ("core", "experiments", "analysis", "sweeps", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)
SETTINGS = {"core.config", "core.config_checks", "core.config_data", "core.config_values"}
PLAIN = SETTINGS | {"core.files", "core.machine", "core.program", "core.wording"}
LEARNING = PLAIN | {
    "core.trial_failure",
    "core.data",
    "core.models",
    "core.scoring",
    "core.checkpoint",
    "core.run_folder",
}
ARROWS = {
    "core": {"core.machine"},
    "core.config": {"core.config_checks", "core.config_data"},
    "core.config_checks": set(),
    "core.config_data": {"core.config_checks"},
    "core.files": set(),
    "core.machine": set(),
    "core.program": {"core.machine", "core.trial_failure"},
    "core.trial_failure": set(),
    "core.wording": set(),
    "core.config_values": SETTINGS | {"core.files"},
    "core.run_folder": PLAIN,
    "core.schedule": PLAIN | {"core.data"},
    "core.command_line": PLAIN | {"core.schedule", "core.run_folder"},
    "core.data": PLAIN,
    "core.models": PLAIN,
    "core.embeddings": PLAIN | {"core.data", "core.models"},
    "core.checkpoint": PLAIN | {"core.models"},
    "core.scoring": PLAIN | {"core.data", "core.models"},
    "core.training": LEARNING,
    "core.inference": LEARNING,
    "core.trainer": LEARNING | {"core.training"},
    "core.doctor": PLAIN | {"core.data", "core.training"},
    "sweeps": PLAIN | {"core.command_line", "core.run_folder", "core.training"},
    "analysis": LEARNING | {"core.embeddings", "core.inference", "core.training", "sweeps"},
}
"""Room -> the rooms that it may import; an experiment imports core and itself, benchmarks import all."""
MAX_FILE_LINES, MAX_CLASS_LINES, MAX_FUNCTION_LINES = 450, 250, 60
READER_OF_SWEEPS = ("sweeps.command", "sweeps.parameters", "sweeps.sweep_file", "sweeps.sweep_folder")
KNOW_TRACKERS = (
    {"core.trainer"}
    | {f"core.training.{name}" for name in ("tracking", "trackers", "wandb_run")}
    | {"core.trial_failure"}
)
LIBRARIES = {"timm", "torch", "datasets", "wandb", "evaluate", "accelerate", "numpy", "pandas", "tyro"}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> set[str]:
    """Return every module that a file imports, at any depth of it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def imports_any(path: Path, *packages: str) -> list[str]:
    return sorted(
        name for name in imports_of(path) if any(name == p or name.startswith(p + ".") for p in packages)
    )


def room_of(module: str) -> str:
    """Return where an arrow starts or ends: `core.data`, `core.config`, `experiments.fdy`, `analysis`."""
    words = module.split(".")
    return ".".join(words[:2]) if words[0] in {"core", "experiments"} else words[0]


MODULES = {module_of(path): path for path in SOURCES}


@pytest.mark.parametrize("module", MODULES)
def test_arrows(module: str) -> None:
    room = room_of(module)
    others = {room_of(name) for name in imports_of(MODULES[module]) if name in MODULES}
    upward = {(module, other) for other in others if not may_import(room, other)}
    assert not upward
    assert not imports_any(MODULES[module], "tests")


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith("analysis")])
def test_analysis_reads_sweeps_and_does_not_run_them(module: str) -> None:
    found = {name for name in imports_of(MODULES[module]) & MODULES.keys() if name.startswith("sweeps.")}
    assert found <= (set(READER_OF_SWEEPS) if module.startswith("analysis.sweep") else set())


def may_import(room: str, other: str) -> bool:
    """Return whether the arrow is allowed; `core` and `experiments` themselves are empty."""
    if other in {room, "core", "experiments"} or room == "benchmarks":
        return True
    return other.startswith("core.") if room.startswith("experiments.") else other in ARROWS[room]


def test_no_module_imports_itself_over_others() -> None:
    left = {module: imports_of(path) & MODULES.keys() - {module} for module, path in MODULES.items()}
    while free := {module for module, others in left.items() if not others}:
        left = {module: others - free for module, others in left.items() if module not in free}
    assert not left, "circles are among these, or reached by them"


def test_a_public_name_is_defined_once() -> None:
    homes: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        for name in public_names(ast.parse(path.read_text())):
            homes.setdefault(name, []).append(module)
    twice = {
        name: modules
        for name, modules in homes.items()
        if len(modules) > 1
        and not all(module.startswith("experiments.") and module.endswith(".run") for module in modules)
    }
    assert twice.keys() <= {"main", "CONFIG"}, twice


def public_names(tree: ast.Module) -> set[str]:
    """Return the functions, classes and constants of a module, without its type variables."""
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign) and not ast.unparse(node.value).startswith("TypeVar("):
            places = [place for target in node.targets for place in ast.walk(target)]
            names |= {place.id for place in places if isinstance(place, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("path", [p for p in SOURCES if module_of(p).startswith("core")], ids=module_of)
def test_what_parts_of_core_may_know(path: Path) -> None:
    module = module_of(path)
    if module not in KNOW_TRACKERS:
        assert not imports_any(path, "accelerate", "wandb"), "only the trainer and its trackers know these"
    if module in SETTINGS | {"core.command_line", "core.schedule", "core.run_folder"}:
        assert not imports_any(path, "torch", "timm", "torchaudio"), "settled before torch is imported"


@pytest.mark.parametrize("path", [p for p in SOURCES if module_of(p).startswith("core")], ids=module_of)
def test_core_knows_no_experiment_by_name(path: Path) -> None:
    folders = [folder for folder in (ROOT / "experiments").iterdir() if (folder / "run.py").is_file()]
    # "nocall" is also what tables of labels say of a window in which nothing sings
    names = [folder.name for folder in folders if folder.name != "nocall"]
    code = ast.unparse(without_docstrings(ast.parse(path.read_text())))
    assert not [name for name in names if re.search(rf"['\"]{name}['\"]", code)]


def without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and len(body) > 1:
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                body.pop(0)
    return tree


def test_no_file_of_an_experiment_hides_a_library() -> None:
    hidden = [p for p in (ROOT / "experiments").rglob("*.py") if p.stem in LIBRARIES]
    assert not hidden


def test_a_typo_is_answered_before_torch_is_imported() -> None:
    script = (
        "import sys, runpy\n"
        "sys.argv = ['run.py', '--mixup.alhpa=0.4']\n"
        "try:\n"
        f"    runpy.run_path({str(ROOT / 'experiments/timm_008/run.py')!r}, run_name='__main__')\n"
        "except SystemExit as stop:\n"
        "    print('torch' in sys.modules, stop.code)\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.split()[-2:] == ["False", "2"]
    assert "mixup.alpha" in result.stderr


def test_files_classes_and_functions_stay_small() -> None:
    lengths = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    assert not {module: number for module, number in lengths.items() if number > MAX_FILE_LINES}
    long = {}
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                assert node.end_lineno is not None
                most = MAX_CLASS_LINES if isinstance(node, ast.ClassDef) else MAX_FUNCTION_LINES
                number = node.end_lineno - node.lineno + 1
                if number > most:
                    long[f"{module}.{node.name}"] = number
    assert not long
