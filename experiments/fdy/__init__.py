"""Experiment fdy."""
