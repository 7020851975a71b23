"""The page itself: everything in one file, which asks nothing of any network."""

import base64
import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from analysis.drawing.figure_files import Drawing
from analysis.plan import Plan
from analysis.report.drawings import dashes_of, decision_drawings
from analysis.report.glossary import Glossary
from analysis.report.inline_svg import inlined
from analysis.report.leaderboard import comparisons, difference_board, leaderboard, species_board
from analysis.report.origins import data_facts, environments
from analysis.report.selection import Group, Selection
from analysis.runs import Run, config_differences
from core.data.taxonomy import Taxonomy
from core.scoring.comparison import show_p
from core.scoring.evaluation import Evaluation
from core.scoring.pictures import COLOURS

TEMPLATES = files("analysis.report") / "templates"
MINUS = "\N{MINUS SIGN}"


def page_content(
    selection: Selection,
    curves: Sequence[Drawing],
    evaluations: Mapping[str, Evaluation],
    *,
    title: str,
    plan: Plan | None,
    browser: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return everything that the template shows.

    Parameters
    ----------
    selection, curves
        The runs, and the learning curves of all of them.
    evaluations
        Name of a run that validated something -> its metrics.
    title
        Of the page.
    plan
        What was to be compared before the runs began; None: nothing.
    browser
        Of `browser_content` of `analysis.report.soundscapes`; None: no soundscapes.
    """
    runs = selection.runs
    readouts: dict[str, dict[str, Any]] = {}
    codes = sorted({code for run in runs for code in run.taxonomy.codes})
    return {
        "title": title,
        "created": time.strftime("%Y-%m-%d %H:%M"),
        "runs": runs,
        "styles": {
            run.name: {"colour": i % len(COLOURS), "dash": " ".join(map(str, dashes_of(i)))}
            for i, run in enumerate(runs)
        },
        "groups": [_group_content(group, evaluations) for group in selection.groups],
        "plan": None if plan is None else _plan_content(plan, runs),
        "curves": _charts_of(curves, readouts),
        "details": [
            {
                "number": number,
                "name": run.name,
                "species": species_board(evaluations[run.name], run.taxonomy),
                "charts": _charts_of(
                    decision_drawings(run, number, evaluations[run.name].threshold), readouts
                ),
            }
            for number, run in enumerate(runs)
            if run.name in evaluations
        ],
        "readouts": readouts,
        "browser": browser,
        "taxonomy": Taxonomy().with_codes(codes, *(run.taxonomy for run in runs)),
        "settings": list(config_differences(runs).iterrows()),
        "configurations": [(run.name, json.dumps(run.config, indent=2)) for run in runs],
        "environments": environments(runs),
        "left_out": _left_out_notes(selection, evaluations, (browser or {}).get("notes", [])),
    }


def _plan_content(plan: Plan, runs: Sequence[Run]) -> dict[str, Any]:
    """Return which plan it is, and what came of each comparison in it."""
    valid = runs[0].valid
    found = plan.compare(runs, confidence=valid.confidence, quantile=valid.threshold_quantile)
    return {"description": plan.describe(runs), "comparisons": found}


def _charts_of(drawings: Sequence[Drawing], readouts: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return drawings as the template shows them; what a pointer reads in each is added to `readouts`."""
    charts = []
    for one in drawings:
        svg, readouts[one.key] = inlined(one.figure, one.key)
        charts.append({"key": one.key, "caption": one.caption, "svg": Markup(svg)})
    return charts


def _group_content(group: Group, evaluations: Mapping[str, Evaluation]) -> dict[str, Any]:
    """Return leaderboard, differences and facts of one group; parameters as in `page_content`."""
    is_compared = group.validated and len(group.runs) > 1
    return {
        "validated": group.validated,
        "reason": group.reason,
        "names": [run.name for run in group.runs],
        "facts": data_facts(group),
        "board": leaderboard(group, evaluations) if group.validated else None,
        "differences": difference_board(comparisons(group, evaluations)) if is_compared else None,
    }


def _left_out_notes(
    selection: Selection, evaluations: Mapping[str, Evaluation], of_soundscapes: Sequence[str]
) -> list[tuple[str, str]]:
    """Return what the page does not show or judge: (what, why)."""
    notes = [("run not shown", reason) for reason in selection.refused]
    apart = [run.name for group in selection.groups[1:] for run in group.runs]
    if apart:
        notes.append(("; ".join(apart), "not compared with the first table; the leaderboard says why"))
    of_codes: dict[str, list[str]] = {}
    for name, one in evaluations.items():
        if one.left_out:
            of_codes.setdefault(", ".join(one.left_out), []).append(name)
    why = "no positive or no negative clip was validated: in no macro mean but padded cmAP"
    notes += [(f"species {codes} of {'; '.join(names)}", why) for codes, names in of_codes.items()]
    why = "a single recording, which no interval can vary"
    notes += [
        (f"{one.num_fixed} species of {name}", why) for name, one in evaluations.items() if one.num_fixed
    ]
    return notes + [("soundscapes", note) for note in of_soundscapes]


def render(content: dict[str, Any], page: str = "page") -> str:
    """Return a page as HTML; every text in it is escaped, and no script but its own may run.

    `page` names its template and script, and its style beyond that of all pages, where it has one.
    """
    script = (TEMPLATES / f"{page}.js").read_text()
    styles = (TEMPLATES / name for name in ("style.css", f"{page}.css"))
    style = "".join(file.read_text() for file in styles if file.is_file())
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def signed(number: float) -> str:
        return f"{number:+.3f}".replace("-", MINUS)

    words = Glossary()
    environment.filters |= {"signed": signed, "p_value": show_p, "data_uri": data_uri}
    environment.filters["words"] = words.explain
    environment.tests["known"] = math.isfinite
    policy = (
        "default-src 'none'; img-src data:; media-src data:; "
        f"style-src '{_fingerprint(style)}'; script-src '{_fingerprint(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    template = environment.get_template(f"{page}.html.jinja")
    return template.render(content, policy=policy, style=Markup(style), script=Markup(script), glossary=words)


def _fingerprint(text: str) -> str:
    """Return the hash by which a Content-Security-Policy allows an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def data_uri(content: bytes, kind: str) -> str:
    """Return a file's content as an address; `kind` is its media type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
