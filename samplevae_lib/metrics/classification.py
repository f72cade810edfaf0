"""How well classes are told apart: scores, their intervals, and whether probabilities are right."""

from __future__ import annotations

import numpy as np
import pandas as pd

from samplevae_lib.metrics.ratings import Interval, interval

_RESAMPLED = 2000  # sets of sounds drawn with replacement


def scores(targets: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Accuracy, balanced accuracy, and precision, recall and F1 as means over the classes.

    targets, predicted: (sounds,), the true and the predicted class. Where all classes have equally
    many sounds, as in thesis M's table 7.1, accuracy, balanced accuracy and recall are one number.
    A class that is never predicted has a precision of 0.

    >>> from samplevae_lib.metrics import scores
    >>> found = scores(["kick", "kick", "tom", "hat"], ["kick", "tom", "tom", "hat"])
    >>> {name: round(value, 2) for name, value in found.items()}
    {'accuracy': 0.75, 'balanced accuracy': 0.83, 'precision': 0.83, 'recall': 0.83, 'F1': 0.78}
    """
    from sklearn.metrics import precision_recall_fscore_support

    targets, predicted = _like(targets, predicted)
    present = np.unique(targets)
    precision, recall, f1, _ = precision_recall_fscore_support(
        targets, predicted, labels=present, average="macro", zero_division=0
    )
    return {
        "accuracy": float((targets == predicted).mean()), "balanced accuracy": float(recall),
        "precision": float(precision), "recall": float(recall), "F1": float(f1),
    }  # fmt: skip


def over_sounds(values: np.ndarray, *, seed: int = 0) -> Interval:
    """The mean of something measured for each sound, with the uncertainty of seeds and of sounds.

    values: (seeds, sounds), a row for each time a model was trained: 1 where a sound was told
    right, or the difference between two models on the same sound. The 95 % interval is the wider
    of two: Student's over the rows' means, and the percentiles of the mean over sounds that are
    drawn with replacement. One row gives the second. seed: of the drawing.
    """
    values = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"values of shape {values.shape}: expected finite ones (seeds, sounds)")
    by_sound = values.mean(0)
    drawn = np.random.default_rng(seed).integers(len(by_sound), size=(_RESAMPLED, len(by_sound)))
    return _wider(values.mean(1), by_sound[drawn].mean(1))


def balanced(targets: np.ndarray, predicted: np.ndarray, *, seed: int = 0) -> Interval:
    """Balanced accuracy, the mean of the classes' recalls, with an interval as `over_sounds` has.

    targets: (sounds,). predicted: (seeds, sounds). Sounds are drawn anew within each class.
    """
    targets, predicted = np.asarray(targets), np.atleast_2d(predicted)
    for row in predicted:
        _like(targets, row)
    right = predicted == targets
    members = [np.flatnonzero(targets == target) for target in np.unique(targets)]
    rng, by_sound = np.random.default_rng(seed), right.mean(0)
    recalls = [
        by_sound[rng.choice(those, size=(_RESAMPLED, len(those)))].mean(1) for those in members
    ]
    of_seeds = np.mean([right[:, those].mean(1) for those in members], axis=0)
    return _wider(of_seeds, np.mean(recalls, axis=0))


def _wider(of_seeds: np.ndarray, drawn: np.ndarray) -> Interval:
    """The wider of Student's interval of the seeds' means and the percentiles of drawn means."""
    low, high = np.percentile(drawn, (2.5, 97.5))
    student = interval(of_seeds)
    if len(of_seeds) > 1 and student.high - student.low > high - low:
        return student
    return Interval(float(of_seeds.mean()), float(low), float(high))


def share(hits: int, count: int) -> Interval:
    """A share of `count` independent sounds with Wilson's 95 % interval (1927).

    >>> from samplevae_lib.metrics import share
    >>> f"{share(138, 160):.2f}"  # thesis M's best classifier: 0.86 of 160 sounds
    '0.86 (0.80 to 0.91)'
    """
    from scipy import stats

    found = stats.binomtest(hits, count).proportion_ci(method="wilson")
    return Interval(hits / count, float(found.low), float(found.high))


def calibration(probabilities: np.ndarray, targets: np.ndarray, *, bins: int = 10) -> pd.DataFrame:
    """How often predictions are right, by how sure they are; a row for each bin that is used.

    probabilities: (sounds, classes). targets: (sounds,), positions of the true classes. Columns:
    "sure", the mean of the highest probability; "right", the share of correct predictions;
    "sounds", how many.
    """
    sure = probabilities.max(1)
    targets, told = _like(targets, probabilities.argmax(1))
    if targets.dtype.kind not in "iu":
        raise ValueError(f"targets must be positions of classes, not {targets.dtype}")
    if not np.isfinite(sure).all():
        raise ValueError("probabilities hold NaN or infinite values: expected 0 … 1")
    place = np.minimum((sure * bins).astype(int), bins - 1)
    frame = pd.DataFrame({"sure": sure, "right": targets == told, "sounds": 1}).groupby(place)
    return frame.agg({"sure": "mean", "right": "mean", "sounds": "sum"})


def calibration_error(probabilities: np.ndarray, targets: np.ndarray, *, bins: int = 10) -> float:
    """Expected calibration error (Guo et al., ICML 2017): 0 where "80 % sure" is right in 80 %.

    The mean distance between how sure and how often right, over the sounds. Arguments as for
    `calibration`.
    """
    found = calibration(probabilities, targets, bins=bins)
    return float(np.average((found["sure"] - found["right"]).abs(), weights=found["sounds"]))


def _like(targets: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    targets, predicted = np.asarray(targets), np.asarray(predicted)
    if targets.shape != predicted.shape or targets.ndim != 1 or not len(targets):
        raise ValueError(
            f"targets {targets.shape} and predicted {predicted.shape}: expected one class for "
            "each of the same sounds"
        )
    return targets, predicted
