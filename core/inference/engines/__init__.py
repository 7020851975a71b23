"""What runs the networks of an ensemble, and how far each differs from the network as trained."""
