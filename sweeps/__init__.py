"""Questions for Weights & Biases, one a file, and what checks and runs them."""
