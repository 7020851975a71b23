"""Experiment htsat."""
