"""Experiment timm_013."""
