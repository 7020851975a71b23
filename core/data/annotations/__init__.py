"""Annotations of soundscapes: what people and programs heard, in the formats of their tools."""
