"""Tables and figures of a sweep on disk, each figure with its caption."""

from pathlib import Path

from matplotlib.figure import Figure

from analysis.drawing.figures import Format, save
from analysis.drawing.tables import write_table
from analysis.sweep.effects import KERNEL
from analysis.sweep.figures import MOST_LINES, draw_effects, draw_importance, draw_settings, draw_throughput
from analysis.sweep.parallel import HIGHLIGHTED, draw_parallel
from analysis.sweep.results import SweepAnalysis
from analysis.sweep.tables import effects_table, importance_table, settings_table, trials_table


def write_all(found: SweepAnalysis, folder: Path, kind: Format) -> list[Path]:
    """Write tables and figures; return their files."""
    sweep, verdict = found.sweep, found.verdict
    written = [write_table(trials_table(sweep, verdict), folder / "trials.csv")]
    if found.pooled:
        table = settings_table(sweep, found.pooled, verdict)
        written.append(write_table(table, folder / "settings.csv"))
    if found.effects:
        written.append(write_table(effects_table(found.effects), folder / "marginal_effects.csv"))
    if found.importance is not None:
        written.append(write_table(importance_table(found.importance), folder / "importance.csv"))
    return written + [
        save(figure, folder / f"{name}.{kind}", caption)
        for name, figure, caption in figures(found)
        if figure is not None
    ]


def figures(found: SweepAnalysis) -> list[tuple[str, Figure | None, str]]:
    """Return name, figure and caption of all figures; None for one that cannot be drawn."""
    sweep, number = found.sweep, len(found.sweep.ranked)
    trials = f"{number} finished trials of the sweep {sweep.name}"
    left_out = len(sweep.trials) - number
    trials += f" ({left_out} others left out)" if left_out else ""
    shown = f", the {MOST_LINES} best" if len(found.pooled or sweep.ranked) > MOST_LINES else ""
    drawn: list[tuple[str, Figure | None, str]] = [
        (
            "trials",
            draw_settings(sweep, found.pooled or sweep.ranked, found.verdict),
            f"{sweep.label} of the {trials}{shown}"
            + (", the folds of a setting pooled. " if found.pooled else ". ")
            + "Lines: bootstrap intervals over recordings. Words: outcome of the paired test with the best, "
            "corrected by Holm. Dotted: the best.",
        ),
        (
            "throughput",
            draw_throughput(sweep),
            f"{sweep.label} over training throughput, the median of what each run logged; {trials}. "
            "Numbered: trials that no other beats in both. Vertical lines: intervals over recordings.",
        ),
    ]
    if found.effects:
        drawn += [
            (
                "parallel_coordinates",
                draw_parallel(sweep),
                f"Parameters and {sweep.label} of the {trials}, a line each; the {min(HIGHLIGHTED, number)} "
                "best in colour, with intervals over recordings. Trials of one listed value are fanned out.",
            ),
            (
                "marginal_effects",
                draw_effects(sweep, found.effects),
                f"{sweep.label} along each parameter, whatever else varied; {trials}, a point each. Curves: "
                f"lines fitted locally, kernel {KERNEL:.0%} of the range wide; dashed: one straight line, "
                "where trials are too few for a curve. Diamonds: means of a listed value, hollow: one trial. "
                "Bands and bars: pointwise bootstrap intervals over trials. Dotted: mean of all. End to end: "
                "change along one straight line.",
            ),
        ]
    if found.importance is not None:
        caution = f" Caution: {found.importance.caution}." if found.importance.caution else ""
        drawn.append(
            (
                "importance",
                draw_importance(sweep, found.importance),
                "Permutation importance of each parameter in a random forest, on trials it has not seen; it "
                f"predicts {found.importance.explained:.0%} of their variance. {trials.capitalize()}. Lines: "
                f"bootstrap intervals over trials.{caution}",
            )
        )
    return drawn
