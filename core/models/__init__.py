"""Networks that turn log-mels into species logits."""
