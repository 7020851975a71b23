"""Experiment student_017."""
