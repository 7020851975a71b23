"""Experiment timm_011."""
