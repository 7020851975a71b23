"""Experiment timm_007."""
