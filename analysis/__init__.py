"""Finished runs -> intervals, comparisons, thresholds, pictures and a report; trains nothing."""
