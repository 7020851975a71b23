"""Clips for a person to listen to, chosen so that the answers teach the most."""
