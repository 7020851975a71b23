"""Who may import whom. The arrows are those of the README's chapter on architecture."""

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


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_arrows(path: Path) -> None:
    module = module_of(path)
    if module.startswith("core"):
        assert not imports_any(path, "experiments", "analysis", "sweeps", "benchmarks", "tests")
    if module.startswith("analysis"):
        assert not imports_any(path, "experiments", "sweeps", "tests")
    if module.startswith("experiments."):
        own = ".".join(module.split(".")[:2])
        others = [name for name in imports_any(path, "experiments") if not name.startswith(own)]
        assert others in ([], ["experiments"]), f"{module} imports another experiment"
        assert not imports_any(path, "analysis", "sweeps", "tests")


@pytest.mark.parametrize("path", [p for p in SOURCES if module_of(p).startswith("core")], ids=module_of)
def test_layers_of_core(path: Path) -> None:
    module = module_of(path)
    if module not in {"core.trainer", "core.training.tracking"}:
        assert not imports_any(path, "accelerate", "wandb"), "only the trainer and the tracker know these"
        assert not imports_any(path, "core.trainer", "core.training.tracking")
    if module in {"core.config", "core.command_line", "core.schedule", "core.run_folder"}:
        assert not imports_any(path, "torch", "timm", "torchaudio"), "settled before torch is imported"
    if module == "core.config":
        assert not imports_any(path, "core")
    if module.startswith("core.models"):
        assert not imports_any(path, "core.data", "core.training", "core.scoring", "core.checkpoint")


@pytest.mark.parametrize("path", [p for p in SOURCES if module_of(p).startswith("core")], ids=module_of)
def test_core_knows_no_experiment_by_name(path: Path) -> None:
    names = [folder.name for folder in (ROOT / "experiments").iterdir() if (folder / "run.py").is_file()]
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


def test_files_and_functions_stay_small() -> None:
    long_files = {module_of(p): n for p in SOURCES if (n := len(p.read_text().splitlines())) > 450}
    assert not long_files
