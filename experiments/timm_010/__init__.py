"""Experiment timm_010."""
