"""Generate the demo data set: python -m core.data.demo [ROOT] [--seed 2022]."""

from core.data.demo.build import main

main()
