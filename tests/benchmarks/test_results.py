"""RESULTS.md says what results.json holds, and claims are settled by the runs of their variants."""

import json
from pathlib import Path

import pytest

from benchmarks.claims import CLAIMS, VARIANTS, add_recorded
from benchmarks.judged_claims import Claim, judge_claims
from benchmarks.results import RESULTS_RECORD, RESULTS_TABLE, render_results, verdict_of
from tests.analysis.conftest import invent_predictions, run_maker


def test_the_committed_table_is_that_of_the_committed_record() -> None:
    assert RESULTS_TABLE.read_text() == render_results(json.loads(RESULTS_RECORD.read_text()))


def test_at_least_fifteen_claims_are_settled_by_three_runs_a_side() -> None:
    record = json.loads(RESULTS_RECORD.read_text())
    assert len(record["claims"]) >= 15
    assert all(len(one["minutes"]) >= 3 for one in record["variants"])
    assert {one.title for one in CLAIMS} <= {one["title"] for one in record["claims"]} | {
        one.title for one in CLAIMS if {one.base, one.variant} & set(record["not_trained"])
    }


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.title)
def test_both_sides_of_a_claim_are_variants(claim: Claim) -> None:
    assert {claim.base, claim.variant} <= VARIANTS.keys()


@pytest.mark.slow
def test_a_better_variant_is_found_better(tmp_path: Path) -> None:
    make = run_maker(tmp_path)
    runs = {
        name: [
            make(name, fold=fold, predictions=invent_predictions((fold,), skill=skill, seed=fold, clips=5))
            for fold in range(3)
        ]
        for name, skill in {"base": 0.3, "strong": 4.0, "same": 0.3}.items()
    }
    claims = [
        Claim("Strong is better", "me", "base", "strong"),
        Claim("Strong is worse", "me", "base", "strong", "worse"),
        Claim("Same is the same", "me", "base", "same", "equal"),
    ]
    judged, scores = judge_claims(claims, runs, None)
    verdicts = {one["title"]: verdict_of(one) for one in judged}
    assert verdicts["Strong is better"] == verdicts["Same is the same"] == "holds"
    assert verdicts["Strong is worse"] == "the opposite holds"
    assert "The published penalty of 0.4 helps" in verdicts
    assert len(judged[0]["by_seed"]) == 3
    assert scores.keys() == runs.keys()
    record = {"claims": judged, "not_trained": [], "variants": []}
    assert "| Strong is better | me | **holds** | strong minus base, macro_auc: +" in render_results(record)


def test_what_is_recorded_of_absent_runs_stays_if_the_base_scores_as_it_did() -> None:
    recorded = json.loads(RESULTS_RECORD.read_text())
    base, *others = recorded["variants"]
    (claim,) = [one for one in recorded["claims"] if one["title"] == CLAIMS[0].title]
    found = {"claims": [claim | {"p": 1e-9}], "variants": [base | {"commits": ["0000000"]}]}
    record = add_recorded(found, recorded)
    assert record["variants"] == [base | {"commits": ["0000000"]}, *others]
    assert [one["title"] for one in record["claims"]] == [one["title"] for one in recorded["claims"]]
    assert record["claims"][0]["q"] < claim["q"]
    found["variants"][0]["score"] = "0.100 [0.050, 0.150]"
    with pytest.raises(ValueError, match=r"base: score 0\.100 .* differs from results\.json"):
        add_recorded(found, recorded)
