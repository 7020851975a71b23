"""Recordings on disk to batches of labelled clips."""
