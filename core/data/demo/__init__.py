"""A generated data set in the layout of BirdCLEF 2022, for trying everything without a download."""

from core.data.demo.build import (
    DEFAULT_SEED,
    OLDER_SEED,
    STATEMENT,
    DemoPlan,
    demo_root,
    ensure_demo,
    tiny_plan,
)

__all__ = ["DEFAULT_SEED", "OLDER_SEED", "STATEMENT", "DemoPlan", "demo_root", "ensure_demo", "tiny_plan"]
