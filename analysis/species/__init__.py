"""What each species' score goes with, what is taken for what, and the clips that are hardest."""
