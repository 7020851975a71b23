"""Pretrained networks that turn windows of audio into embeddings."""
