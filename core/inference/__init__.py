"""From soundscapes to decisions: windows, ensembles, post-processing, tables; `python -m core.inference`."""
