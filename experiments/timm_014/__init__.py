"""Experiment timm_014."""
