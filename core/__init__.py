"""What two experiments share: data, features, models, losses, metrics, the trainer."""
