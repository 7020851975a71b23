"""Experiment distil_016."""
