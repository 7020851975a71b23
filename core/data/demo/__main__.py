"""Generate the demo data set: python -m core.data.demo [ROOT] [--seed 2022]."""

import argparse
from pathlib import Path

from core.data.demo.build import DEFAULT_SEED, demo_root, ensure_demo

parser = argparse.ArgumentParser(
    prog="python -m core.data.demo", description="Generate the demo data set unless it is there."
)
parser.add_argument("root", nargs="?", type=Path, help="folder of the data set (default: below data/)")
parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="seed of everything random")
options = parser.parse_args()
try:
    ensure_demo(options.root or demo_root(seed=options.seed), options.seed)
except (ValueError, OSError) as error:
    parser.error(str(error))
