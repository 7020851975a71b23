"""Generate the demo data set: python -m core.data.demo [ROOT] [--seed 2022]."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from core.config_checks import expand_home, require_output, require_seed
from core.data.demo.build import DEFAULT_SEED, demo_root, ensure_demo
from core.program import run_program


@dataclass(frozen=True)
class DemoConfig:
    """Generate the demo data set unless it is there."""

    root: tyro.conf.Positional[str | None] = None
    """Folder of the data set; None: one below data/."""
    seed: int = DEFAULT_SEED
    """Of everything random."""

    def __post_init__(self) -> None:
        """Check ranges, and that the folder can be written."""
        expand_home(self, "root")
        require_seed("seed", self.seed)
        require_output("root", self.folder, is_folder=True)

    @property
    def folder(self) -> Path:
        """Of the data set."""
        return demo_root(seed=self.seed) if self.root is None else Path(self.root)


if __name__ == "__main__":
    run_program(DemoConfig, lambda config: ensure_demo(config.folder, config.seed))
