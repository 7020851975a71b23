"""A generated data set in the layout of BirdCLEF 2022, for trying everything without a download."""

from core.data.demo.build import DEFAULT_SEED, DEMO_VERSION, OLDER_SEED, demo_root, ensure_demo
from core.data.demo.layout import MIN_SOUNDING_SECONDS
from core.data.demo.plan import DemoPlan, tiny_plan

__all__ = [
    "DEFAULT_SEED",
    "DEMO_VERSION",
    "MIN_SOUNDING_SECONDS",
    "OLDER_SEED",
    "DemoPlan",
    "demo_root",
    "ensure_demo",
    "tiny_plan",
]
