"""What experiments share: data, models, training, scoring, inference."""

from core.machine import wait_passively

wait_passively()  # every program imports core before torch, its workers inherit the environment
