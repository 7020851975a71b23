"""Weights of several runs as one ensemble."""
