"""The page itself: everything in one file, which asks nothing of any network."""

import base64
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from analysis.drawing.figures import COLOURS
from analysis.report import tables
from analysis.report.charts import Chart, dash, drawn
from analysis.report.panels import decision_charts
from analysis.report.selection import Group, Selection
from analysis.report.verdicts import judge
from core.scoring.comparison import show_p
from core.scoring.evaluation import Evaluation, evaluate

TEMPLATES = files("analysis.report") / "templates"
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Detail:
    """What is shown of one run by itself."""

    number: int
    evaluation: Evaluation
    species: dict[str, Any]
    charts: list[Chart]


def details_of(selection: Selection) -> list[Detail]:
    """Return metrics, species and decision charts of every run that validated something.

    All are computed anew from the predictions: runs of different days are judged by one method.
    """
    found = []
    for number, run in enumerate(selection.runs):
        if len(run.predictions):
            evaluation = evaluate(run.predictions, run.valid)
            species = tables.species_rows(evaluation)
            charts = decision_charts(run, number, evaluation.threshold)
            found.append(Detail(number, evaluation, species, charts))
    return found


def content_of(
    selection: Selection,
    curves: Sequence[Chart],
    details: Sequence[Detail],
    *,
    title: str,
    browser: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return everything that the template shows."""
    runs = selection.runs
    charts = [*curves, *(chart for detail in details for chart in detail.charts)]
    pictures = {chart.key: drawn(chart) for chart in charts}
    evaluations = {runs[detail.number].name: detail.evaluation for detail in details}
    styles = {run.name: {"colour": i % len(COLOURS), "dash": dash(i)} for i, run in enumerate(runs)}
    return {
        "title": title,
        "created": time.strftime("%Y-%m-%d %H:%M"),
        "runs": runs,
        "styles": styles,
        "groups": [group_content(group, evaluations) for group in selection.groups],
        "curves": [pictures[chart.key] for chart in curves],
        "details": [
            {
                "number": detail.number,
                "name": runs[detail.number].name,
                "species": detail.species,
                "charts": [pictures[chart.key] for chart in detail.charts],
            }
            for detail in details
        ],
        "readouts": {key: one.pop("readout") for key, one in pictures.items()},
        "browser": browser,
        "settings": tables.settings(runs),
        "configurations": [(run.name, json.dumps(run.config, indent=2)) for run in runs],
        "environments": tables.environments(runs),
        "left_out": left_out(selection, details, browser),
    }


def group_content(group: Group, evaluations: Mapping[str, Evaluation]) -> dict[str, Any]:
    """Return leaderboard, verdicts and facts of one group."""
    content: dict[str, Any] = {
        "validated": group.validated,
        "reason": group.reason,
        "names": [run.name for run in group.runs],
        "facts": tables.facts_of(group),
        "verdicts": None,
    }
    if group.validated:
        content["board"] = tables.leaderboard(group, evaluations)
    if group.validated and len(group.runs) > 1:
        content["verdicts"] = judge(group)
    return content


def left_out(
    selection: Selection, details: Sequence[Detail], browser: dict[str, Any] | None
) -> list[tuple[str, str]]:
    """Return what the page does not show or judge: (what, why)."""
    notes = [("run not shown", reason) for reason in selection.refused]
    apart = [run.name for group in selection.groups[1:] for run in group.runs]
    if apart:
        notes.append(("; ".join(apart), "not compared with the first table; the leaderboard says why"))
    species: dict[tuple[str, ...], list[str]] = {}
    for detail in details:
        if detail.species["left_out"]:
            species.setdefault(tuple(detail.species["left_out"]), []).append(
                selection.runs[detail.number].name
            )
    for codes, names in species.items():
        why = "no positive or no negative clip was validated: in no macro mean but padded cmAP"
        notes.append((f"species {', '.join(codes)} of {'; '.join(names)}", why))
    for detail in details:
        fixed, name = detail.evaluation.num_fixed, selection.runs[detail.number].name
        if fixed:
            notes.append((f"{fixed} species of {name}", "a single recording, which no interval can vary"))
    notes += [("soundscapes", note) for note in (browser or {}).get("notes", [])]
    return notes


def render(content: dict[str, Any]) -> str:
    """Return the page as HTML; every text in it is escaped, and no script but its own may run."""
    style, script = ((TEMPLATES / name).read_text() for name in ("style.css", "page.js"))
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"signed": signed, "p_value": show_p, "data_uri": data_uri}
    policy = (
        "default-src 'none'; img-src data:; media-src data:; "
        f"style-src '{fingerprint(style)}'; script-src '{fingerprint(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    template = environment.get_template("page.html.jinja")
    return template.render(content, policy=policy, style=Markup(style), script=Markup(script))


def fingerprint(text: str) -> str:
    """Return the hash by which a Content-Security-Policy allows an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def signed(number: float, digits: int = 3) -> str:
    """Return a difference with its sign."""
    return f"{number:+.{digits}f}".replace("-", MINUS)


def data_uri(content: bytes, kind: str) -> str:
    """Return a file's content as an address."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
