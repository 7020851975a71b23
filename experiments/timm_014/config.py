"""timm_014: what a lab can train on up to some three thousand recordings, without a flag.

A small backbone whose weights come with the requirements, binary cross-entropy, which learns in fewer steps
than the focal loss with smoothing, small batches, clips of one part, averaged weights. An epoch has at least
48 steps, so that few recordings come round several times in it.
"""

from core.config import (
    BUNDLED_BACKBONE,
    Config,
    DataConfig,
    LossConfig,
    OptimConfig,
    TimmConfig,
)

CONFIG = Config(
    name="timm_014",
    epochs=12,
    model=TimmConfig(backbone=BUNDLED_BACKBONE, dropout=0.25),
    data=DataConfig(
        clip_seconds=5.0,
        valid_clip_seconds=10.0,
        short_clips="repeat",
        batch_size=8,
        valid_batch_size=16,
        min_epoch_steps=48,
    ),
    loss=LossConfig(kind="bce", label_smoothing=0.0),
    optim=OptimConfig(lr=7e-4, warmup_epochs=1.0, ema_decay=0.99),
)
