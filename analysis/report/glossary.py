"""The words of the page that a reader may not know: a line on hover where they stand, and all at its end."""

import re

from markupsafe import Markup, escape

GLOSSARY = {
    "2022 score": "mean of sensitivity and specificity of each species, then over species; a guess has 0.5",
    "macro ROC-AUC": "mean of ROC-AUC over the species",
    "ROC-AUC": "how often a clip with the species has a higher probability than one without; a guess has 0.5",
    "padded cmAP": "mean of average precision over the species, each with five extra true clips, as in 2023",
    "cmAP": "mean of average precision over the species",
    "average precision": "clips by falling probability: the share of true ones down to each, on average",
    "top-1 accuracy": "share of clips with a bird whose most probable species is there",
    "2021 micro F1": "how well the set of called species of a clip agrees with the true set, mean over clips",
    "at best threshold": "the 2022 score at the threshold that is best on these clips; on others it is less",
    "bootstrap intervals": "where the number lies when recordings are drawn anew, thousands of times",
    "stratified": "drawn within their species, so that every species stays present",
    "carry the variance": "the number moves with these alone: with other recordings it may lie elsewhere",
    "variance hangs on": "the number moves with these alone: with other recordings it may lie elsewhere",
    "may be too short": "of so few recordings such intervals hold the truth less often than they say",
    "all alike": "every recording of the species was judged alike, so that nothing tells how sure that is",
    "reads high": "of few recordings this number is too high on average",
    "sign-flip test": "two runs' predictions exchanged at random; p: how often that makes as much difference",
    "Holm": "a correction: of many comparisons the best looks good by luck",
    "can find": "the smallest true difference that such a comparison finds in 4 of 5 cases",
    "paired resamples": "recordings drawn anew, the same ones for both runs",
    "quantile": "the probability below which such a share of all probabilities lies",
    "optimistic": "picked on the clips that judge it",
    "calibration error": "how far probabilities lie from how often they come true, on average",
    "Brier score": "mean squared distance of probability and truth: 0 is perfect",
    "over-confident": "birds are there less often than the probabilities say",
    "under-confident": "birds are there more often than the probabilities say",
    "scored species": "those that the competition judges; else all",
    "positive labels": "pairs of a clip and a species that is there",
    "positive clips": "validated clips that hold the species",
    "validated clips": "clips that did not train, on which the run was judged",
    "folds": "shares of the recordings; a run validates on one and trains on the others",
    "macro means": "means over species, each counting the same",
    "Log-mel": "how loud each band of frequencies is over time; bands are as wide as they are heard",
    "epoch": "once through all recordings that train",
}
"""Term, as it stands in the page -> what it means, in one line."""
_LONGEST_FIRST = sorted(map(re.escape, GLOSSARY), key=len, reverse=True)
_TERM = re.compile(rf"(?<![\w-])({'|'.join(_LONGEST_FIRST)})(?![\w-])")


class Glossary:
    """Explains terms where they stand, and knows which have been met.

    Examples
    --------
    >>> words = Glossary()
    >>> print(words.explain("no epoch < 3"))
    no <abbr title="once through all recordings that train">epoch</abbr> &lt; 3
    >>> print(words.met)
    [('epoch', 'once through all recordings that train')]
    """

    def __init__(self) -> None:
        self._met: set[str] = set()

    @property
    def met(self) -> list[tuple[str, str]]:
        """Terms and lines, in the order of `GLOSSARY`."""
        return [(term, line) for term, line in GLOSSARY.items() if term in self._met]

    def explain(self, text: str) -> Markup:
        """Return a text in which each term has its line where it first stands; `text` holds no tags."""
        here: set[str] = set()

        def explained(found: re.Match[str]) -> str:
            term = found[1]
            if term in here:
                return term
            here.add(term)
            self._met.add(term)
            return f'<abbr title="{escape(GLOSSARY[term])}">{term}</abbr>'

        return Markup(_TERM.sub(explained, escape(text)))
