"""Experiment conformer."""
