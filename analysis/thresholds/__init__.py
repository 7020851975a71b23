"""From probabilities to decisions, judged on recordings that fitted nothing."""
