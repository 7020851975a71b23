"""Predictions and truth in, numbers with intervals out."""
