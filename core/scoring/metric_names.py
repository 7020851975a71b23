"""How metrics are called on the command line and in tables, and what they are in `core`."""

IN_CORE: dict[str, str] = {
    "score": "score",
    "macro_auc": "auc",
    "cmap": "average_precision",
    "padded_cmap": "padded_average_precision",
    "micro_f1": "micro_f1",
    "top1": "top1",
}
LABELS: dict[str, str] = {
    "score": "2022 score",
    "macro_auc": "macro ROC-AUC",
    "cmap": "cmAP",
    "padded_cmap": "padded cmAP",
    "micro_f1": "2021 micro F1",
    "top1": "top-1 accuracy",
}
SPECIES_LABELS = LABELS | {"macro_auc": "ROC-AUC", "cmap": "average precision", "padded_cmap": "padded AP"}
