"""Experiment birdclef2021."""
