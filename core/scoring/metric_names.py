"""How metrics are called on the command line and in tables, and what they are in `core`."""

from typing import Literal

MetricName = Literal["score", "macro_auc", "cmap", "padded_cmap", "top1"]
IN_CORE: dict[str, str] = {
    "score": "score",
    "macro_auc": "auc",
    "cmap": "average_precision",
    "padded_cmap": "padded_average_precision",
    "top1": "top1",
}
LABELS: dict[str, str] = {
    "score": "2022 score",
    "macro_auc": "macro ROC-AUC",
    "cmap": "cmAP",
    "padded_cmap": "padded cmAP",
    "top1": "top-1 accuracy",
}
SPECIES_LABELS = LABELS | {"macro_auc": "ROC-AUC", "cmap": "average precision", "padded_cmap": "padded AP"}
