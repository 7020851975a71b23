"""Experiment probe_015."""
