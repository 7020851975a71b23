"""Figures and tables on disk."""
