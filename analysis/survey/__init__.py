"""From scores of soundscapes to what an ecologist reports: call density, and detection histories."""
