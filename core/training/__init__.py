"""What a run needs while it trains."""
