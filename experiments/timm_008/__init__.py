"""Experiment timm_008."""
