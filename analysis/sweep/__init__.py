"""The trials of a sweep side by side: which is best, what matters, what it costs."""
