"""Numbered experiments: each a difference from core's defaults."""
