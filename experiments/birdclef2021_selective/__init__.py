"""Experiment birdclef2021_selective."""
