"""Experiment nocall."""
