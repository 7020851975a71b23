"""Which trials end early."""

from sweeps.hyperband import Hyperband, read_hyperband


def rule(**entry: object) -> Hyperband:
    found = read_hyperband({"type": "hyperband", **entry})
    assert found is not None
    return found


def test_brackets_are_those_of_wandb() -> None:
    assert rule(min_iter=3).brackets[:4] == (3, 9, 27, 81)
    assert rule(min_iter=2, eta=2).brackets[:4] == (2, 4, 8, 16)
    assert rule(max_iter=27, s=2).brackets == (3, 9)
    assert rule(max_iter=27, s=9).brackets == (1, 3, 9)


def test_the_best_share_goes_on_and_the_others_end() -> None:
    halves = rule(min_iter=2, eta=2)
    curves = [[0.0, 0.1], [0.0, 0.2], [0.0, 0.3], [0.0, 0.4]]
    ended = [halves.stops(curve, [one for one in curves if one is not curve], "maximize") for curve in curves]
    assert ended == [True, False, False, False]
    ended = [halves.stops(curve, [one for one in curves if one is not curve], "minimize") for curve in curves]
    assert ended == [False, False, False, False]  # the first value, 0, is the best of each


def test_strict_judges_the_value_at_the_bracket() -> None:
    curves = [[0.0, 0.1], [0.0, 0.2], [0.0, 0.3], [0.0, 0.4]]
    strict = rule(min_iter=2, eta=2, strict=True)
    ended = [strict.stops(curve, [one for one in curves if one is not curve], "minimize") for curve in curves]
    assert ended == [False, False, False, True]


def test_before_the_first_bracket_and_without_others_nothing_ends() -> None:
    assert not rule(min_iter=3).stops([0.1, 0.1], [[0.9, 0.9, 0.9]], "maximize")
    assert not rule(min_iter=1).stops([0.1], [], "maximize")
    assert rule(min_iter=1).stops([0.1], [[0.9]], "maximize")
    assert not rule(min_iter=1).stops([0.1, 0.95], [[0.9]], "maximize")  # it came back
    assert rule(min_iter=1, strict=True).stops([0.1, 0.95], [[0.9]], "maximize")
