"""From probabilities to a random sample, its page, verdicts, call density and detection histories."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from analysis.survey.config import SampleConfig, VisitOptions
from analysis.survey.density import draw_visits
from analysis.survey.windows import read_scores
from core.scoring.intervals import Interval
from tests.analysis.test_review import content_of
from tests.programs import refusal, run_program

CODE, OTHER = "akiapo", "22961"
SITES, DAYS, FILES, WINDOWS, RATE = ("ridge", "valley"), 3, 3, 4, 8000
NUMBER = (2 * DAYS - 1) * FILES * WINDOWS
PLACE = ("--soundscapes", "field")
Truth = dict[tuple[str, float], bool]


def write_field(folder: Path, files: int = FILES) -> Truth:
    """Write soundscapes of 20 s, their probabilities, and a taxonomy; return where the bird sings.

    It sings at the ridge in a third of the windows, in the valley never; the recorder of the valley failed
    on the last day.
    """
    generator, tables = np.random.default_rng(1), []
    truth: Truth = {}
    noise = generator.normal(0, 0.05, 5 * WINDOWS * RATE)
    for site, day, minute in itertools.product(SITES, range(DAYS), range(files)):
        if (site, day) == ("valley", DAYS - 1):
            continue
        name = f"{site}/2025060{day + 1}_050{minute}00"
        file = folder / "field" / f"{name}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, noise, RATE)
        sings = (generator.random(WINDOWS) < 0.33) & (site == "ridge")
        truth |= {(f"{name}.wav", 5.0 * i): bool(one) for i, one in enumerate(sings)}
        score = 1 / (1 + np.exp(2 - 2 * sings - generator.normal(size=WINDOWS)))
        columns = {"file_id": name, "end_time": 5 * np.arange(1, WINDOWS + 1), "site": site}
        scores = {CODE: score.astype(np.float32), OTHER: np.float32(0.1)}
        start = f"2025-06-0{day + 1}T05:0{minute}:00"
        tables.append(pd.DataFrame({**columns, "start_time": start, **scores}))
    table = pd.concat(tables, ignore_index=True)
    table.to_parquet(folder / "p.parquet", index=False, row_group_size=50)
    table.to_csv(folder / "p.csv", index=False)
    names = pd.DataFrame({"primary_label": [CODE, OTHER], "common_name": ["Akiapolaau", "Cane Toad"]})
    names.to_csv(folder / "taxonomy.csv", index=False)
    return truth


def share(truth: Truth, beginning: str) -> float:
    """Return the share of the windows of some files in which the bird sings."""
    return float(np.mean([sings for (file, _), sings in truth.items() if file.startswith(beginning)]))


@pytest.fixture
def field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Truth:
    """Return the truth of a field in this folder."""
    monkeypatch.chdir(tmp_path)
    return write_field(tmp_path)


def sample(*words: object, table: str = "p.parquet") -> list[dict[str, Any]]:
    """Return the clips of the page of a sample."""
    run_program("analysis.survey", "sample", table, "--species", CODE, "--soundscapes", "field", *words)
    clips: list[dict[str, Any]] = content_of(Path("survey/review.html"))["clips"]
    return clips


def answer(clips: list[dict[str, Any]], truth: Truth, file: str = "verdicts.csv") -> None:
    """Write the verdicts of somebody who hears every bird, as the page downloads them."""
    kinds = {True: "positive", False: "negative"}
    rows = [(*place, CODE, kinds[truth[place]]) for place in ((one["file"], one["begin"]) for one in clips)]
    columns = ["filename", "window_offset_s", "label", "label_type"]
    pd.DataFrame(rows, columns=columns).to_csv(file, index=False)


def density(*words: object, table: str = "p.parquet") -> tuple[str, pd.DataFrame]:
    """Return what is printed of the density, and its table."""
    told = run_program("analysis.survey", "density", table, "--verdicts", "verdicts.csv", "--out=out", *words)
    found = pd.read_csv("out/density.csv", keep_default_na=False).set_index(["site", "day"])
    return told, found.drop(columns="species")


def test_a_survey_recovers_what_sings_where_and_when(field: Truth) -> None:
    clips = sample("--clips=30")
    drawn = pd.read_csv("survey/sample.csv")
    assert len(clips) == len(drawn) == len(drawn.drop_duplicates(["file_id", "begin"]))
    assert drawn["weight"].sum() == pytest.approx(NUMBER), "every window stands behind a clip"
    assert all(clip["probability"] is None for clip in clips), "who listens is not told the score"
    assert np.corrcoef(np.arange(len(drawn)), drawn["stratum"])[0, 1] < 0.4
    answer(clips[4:], field)
    told, found = density()
    whole = found.loc[("", "")]
    assert whole["density low"] <= share(field, "") <= whole["density high"]
    assert abs(whole["density"] - share(field, "")) < 0.1
    assert (whole["windows"], whole["verdicts"]) == (NUMBER, len(clips) - 4)
    assert found.loc[("ridge", ""), "density"] > found.loc[("valley", ""), "density"]
    assert len(found) == 1 + len(SITES) + DAYS + (2 * DAYS - 1)
    assert f"{len(clips) - 4} of {len(clips)} clips heard; 4 without a verdict are taken" in told
    assert f"| all | {NUMBER} | {len(clips) - 4} | " in told
    strata = pd.read_csv("out/strata.csv")
    assert strata["windows"].sum() == NUMBER
    assert strata["share present"].iloc[-1] > strata["share present"].iloc[0]
    assert strata["precision from here"].iloc[0] == pytest.approx(whole["density"])
    assert strata["recall from here"].iloc[0] == 1
    assert {file.name for file in Path("out").glob("*.png")} == {f"sites_{CODE}.png", f"days_{CODE}.png"}


def test_a_density_of_zero_is_drawn_as_a_whole_point() -> None:
    found = [Interval(0.0, 0.0, 0.2), Interval(0.4, 0.2, 0.5)]
    rows = [{"day": f"2025-06-0{i}", "density": one} for i, one in enumerate(found, start=1)]
    figure = draw_visits(dict.fromkeys("abcdef", rows), found[1])
    figure.draw_without_rendering()
    for axes in figure.axes:
        below = axes.transData.transform((0, 0))[1] - axes.get_window_extent().y0
        assert below > figure.dpi / 72 * axes.lines[0].get_markersize() / 2


def test_sites_by_their_own_verdicts_are_the_truth_where_every_window_was_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    field = write_field(tmp_path, files=1)
    answer(sample("--clips=999", "--by_site", table="p.csv"), field)
    told, found = density("--format=svg", table="p.csv")
    assert "Each site is told by its own verdicts" in told
    assert found.loc[("", ""), "density"] == pytest.approx(share(field, ""))
    for day in range(DAYS):
        row = found.loc[("ridge", f"2025-06-0{day + 1}")]
        sung = share(field, f"ridge/2025060{day + 1}")
        bounds = row[["density low", "density", "density high"]].tolist()
        assert bounds == pytest.approx([sung] * 3)
    assert found.loc[("valley", ""), "density high"] == 0
    assert ("valley", f"2025-06-0{DAYS}") not in found.index
    assert "valley" in Path(f"out/days_{CODE}.svg").read_text()


def test_more_clips_of_the_same_seed_ask_only_what_is_new(field: Truth) -> None:
    first = sample("--clips=12", "--strata=2")
    answer(first, field)
    second = sample("--clips=20", "--strata=2", "--verdicts", "verdicts.csv")
    places = [{(clip["file"], clip["begin"]) for clip in clips} for clips in (first, second)]
    assert not places[0] & places[1]
    drawn = pd.read_csv("survey/sample.csv")
    assert len(drawn) == len(first) + len(second)
    elsewhere = sorted(field.keys() - places[0] - places[1])[:7]
    answer([*second, *({"file": file, "begin": begin} for file, begin in elsewhere)], field, "more.csv")
    told = run_program(
        "analysis.survey", "density", "p.parquet", "--verdicts", "verdicts.csv", "more.csv"
    )  # fmt: skip
    assert f"{len(drawn)} of {len(drawn)} clips heard; 7 verdicts on other windows left out" in told
    other = sample("--clips=12", "--strata=2", "--seed=1")
    assert {(clip["file"], clip["begin"]) for clip in other} != places[0]


def history(*words: object) -> tuple[str, pd.DataFrame, pd.DataFrame]:
    """Return what is printed of the histories, and both tables."""
    told = run_program("analysis.survey", "histories", "p.parquet", "--species", CODE, *words)
    read = (pd.read_csv(f"histories/{name}_{CODE}.csv", index_col="site") for name in ("history", "effort"))
    detected, effort = read
    return told, detected, effort


def test_histories_by_threshold_are_one_zero_or_absent(field: Truth) -> None:
    told, detected, effort = history("--threshold=0.4")
    scores = pd.read_parquet("p.parquet")
    expected = scores.assign(day=scores["start_time"].str[:10]).pivot_table(
        index="site", columns="day", values=CODE, aggfunc="max"
    )  # fmt: skip
    assert detected.astype(float).equals((expected >= 0.4).astype(float).where(expected.notna()))
    assert effort.loc["ridge"].eq(FILES * WINDOWS).all()
    text = Path(f"histories/history_{CODE}.csv").read_text()
    assert text.splitlines()[0] == "site," + ",".join(f"2025-06-0{day + 1}" for day in range(DAYS))
    assert text.splitlines()[2].endswith(",NA")
    assert f"of {len(SITES)} sites, in " in told
    _, pairs, both = history("--threshold=0.4", "--visit_days=2")
    assert pairs.columns.tolist() == ["2025-06-01", "2025-06-03"]
    assert both.loc["valley"].fillna(0).tolist() == [2 * FILES * WINDOWS, 0]
    assert pairs.loc["valley"].isna().tolist() == [False, True]


def test_verdicts_overrule_a_threshold_and_count_alone(field: Truth) -> None:
    answer([{"file": file, "begin": begin} for file, begin in field], field)
    for words in (["--threshold=0.01"], []):
        _, detected, _ = history(*words, "--verdicts", "verdicts.csv")
        for site in SITES:
            for day in range(DAYS - (site == "valley")):
                sung = share(field, f"{site}/2025060{day + 1}") > 0
                assert detected.loc[site, f"2025-06-0{day + 1}"] == sung
    one = next(place for place, sings in field.items() if sings)
    answer([{"file": one[0], "begin": one[1]}], field)
    _, detected, effort = history("--verdicts", "verdicts.csv")
    assert detected.notna().sum().sum() == detected.sum().sum() == effort.sum().sum() == 1
    assert effort.loc["ridge"].eq(0).sum() == DAYS - 1


def test_a_day_may_begin_at_noon_and_a_soundscape_goes_on_past_midnight(tmp_path: Path) -> None:
    rows = [("night", end, "s", "2025-06-01T23:59:50+02:00", 0.5) for end in (5, 10, 15)]
    rows += [("dated", 5, "s", "2025-06-03", 0.5), ("undated", 5, "s", "", 0.5)]
    columns = ["file_id", "end_time", "site", "start_time", CODE]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "p.csv", index=False)
    windows = read_scores(tmp_path / "p.csv", CODE)
    visit, days = windows.visits(VisitOptions(predictions="p"))
    assert visit.tolist() == [0, 0, 1, 2, -1]
    assert [str(day) for day in days] == ["2025-06-01", "2025-06-02", "2025-06-03"]
    visit, _ = windows.visits(VisitOptions(predictions="p", day_starts=12))
    assert visit.tolist() == [0, 0, 0, 2, -1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sample", "p.parquet", "--species", "x", *PLACE], "species=x: p.parquet has no such"),
        (["sample", "absent.parquet", "--species", CODE, *PLACE], "absent.parquet: no such file"),
        (["sample", "taxonomy.csv", "--species", CODE, *PLACE], "no column file_id, end_time"),
        (["density", "p.parquet", "--verdicts", "v.csv"], "survey=survey: no survey.json; name the folder"),
        (["histories", "p.parquet", "--species", CODE], "threshold or verdicts: name a threshold"),
        (["listen"], "listen: name one of sample, density, histories"),
    ],
)  # fmt: skip
def test_a_mistake_of_a_survey_is_one_line(field: Truth, words: list[str], message: str) -> None:
    error = refusal("analysis.survey", *words)
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1


def test_other_predictions_and_other_verdicts_are_refused(field: Truth) -> None:
    clips = sample("--clips=10", "--strata=2")
    answer(clips, field)
    table = pd.read_parquet("p.parquet")
    table.assign(**{CODE: table[CODE] / 2}).to_parquet("changed.parquet")
    words = ["--verdicts", "verdicts.csv"]
    error = refusal("analysis.survey", "density", "changed.parquet", *words)
    assert f"the windows of {CODE} are others than those that were sampled" in error
    Path("verdicts.csv").write_text("filename,window_offset_s,label,label_type\nx.wav,0,akiapo,positive\n")
    error = refusal("analysis.survey", "density", "p.parquet", *words)
    assert "verdicts.csv: no verdict about these soundscapes; it names x.wav, they are as ridge/" in error
    elsewhere = sorted(field.keys() - {(clip["file"], clip["begin"]) for clip in clips})[:3]
    answer([{"file": file, "begin": begin} for file, begin in elsewhere], field)
    error = refusal("analysis.survey", "density", "p.parquet", *words)
    assert "verdicts: none is about a clip in survey; name what its page downloaded" in error
    Path("survey/survey.json").write_text('{"designs": [{}]}')
    error = refusal("analysis.survey", "density", "p.parquet", *words)
    assert "survey.json: a design needs species, edges, sites, windows; draw the sample again" in error
    with pytest.raises(ValueError, match="power=2: a probability"):
        SampleConfig(predictions="p", species=("a",), soundscapes=("f",), power=2)
