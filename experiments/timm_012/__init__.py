"""Experiment timm_012."""
