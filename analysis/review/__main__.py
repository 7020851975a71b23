"""Clips to listen to, as one page with verdicts by key: python -m analysis.review RUN --out review.html."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from analysis.review.choice import ChoiceOptions, choose_questions
from analysis.runs import find_runs
from core.config import require
from core.config_checks import expand_home, require_output
from core.files import write_atomically
from core.program import run_program
from core.wording import counted


@dataclass(frozen=True, kw_only=True)
class ReviewConfig(ChoiceOptions):
    """Choose clips whose labels would teach most, and write one page on which a person gives them by key."""

    run: tyro.conf.Positional[str | None] = None
    """A run, whose validated clips are asked for. With `probabilities`: the run that gives the embeddings, if
    it has some, in which windows are told apart; otherwise their logits do."""
    probabilities: str | None = None
    """What `core.inference --probabilities` wrote about `soundscapes`."""
    soundscapes: tuple[str, ...] = ()
    """Folder of these soundscapes."""
    labelled: tuple[str, ...] = ()
    """Annotation tables, such as the verdicts of earlier pages: what they answer is not asked again."""
    taxonomy: str | None = None
    """Table of the species' names; None: those beside the recordings or soundscapes."""
    context_seconds: float = 2.0
    """Shown and played before and after the 5 s that are asked for."""
    out: str = "review.html"
    """The page; the verdicts are downloaded from it under the same name, ending in .csv."""

    def __post_init__(self) -> None:
        """Check what belongs together."""
        pair = (self.probabilities is None) == (not self.soundscapes)
        require(pair, "soundscapes and probabilities: name both, or neither")
        both = self.run is not None or self.probabilities is not None
        require(both, "name a run, or --probabilities=TABLE with --soundscapes=FOLDER")
        super().__post_init__()
        require(0 <= self.context_seconds <= 30, f"context_seconds={self.context_seconds:g}: from 0 to 30")
        expand_home(self, "run", "probabilities", "soundscapes", "labelled", "taxonomy", "out")
        require_output("out", self.out, (".html", ".htm"))


def write_review(config: ReviewConfig) -> None:
    """Choose the clips, and write the page.

    Raises
    ------
    ValueError
        If a file cannot be read, or nothing is left to ask.
    """
    runs = find_runs([config.run]) if config.run is not None else []
    require(len(runs) <= 1, f"{config.run}: holds {len(runs)} runs; name one")
    from analysis.review.page import read_clips, render_review  # torch takes seconds to import
    from analysis.review.windows import Listenable, known_answers, vectors_of

    if config.probabilities is not None:
        found = Listenable.of_soundscapes(config.probabilities, config.soundscapes, config.taxonomy)
    else:
        found = Listenable.of_run(runs[0], config.taxonomy)
    known, notes = known_answers(found, config.labelled)
    vectors, kind = vectors_of(found, runs[0].config if runs else None)
    questions = choose_questions(found.predictions, vectors, known, config)
    out = Path(config.out)
    clips, unplayed = read_clips(found, questions, config.context_seconds)
    why = f": {unplayed[0]}" if unplayed else ", every window is labelled"
    require(len(clips) > 0, f"nothing to listen to{why}")
    html = render_review(found, clips, f"{out.stem}.csv")
    write_atomically(out, html)
    for note in (*found.notes, *notes, *unplayed):
        print(note)
    species, files = {clip["code"] for clip in clips}, {clip["file"] for clip in clips}
    print(
        f"{out}: {counted(len(clips), 'clips')} of {len(species)} species in {counted(len(files), 'files')}, "
        f"told apart by {kind}; {len(html) / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    run_program(ReviewConfig, write_review)
