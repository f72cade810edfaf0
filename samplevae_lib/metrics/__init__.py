"""What is measured of sounds and of latent spaces, and with what certainty.

odg, fingerprint_similarity     how close a sound comes to its original: as heard, as recognised
spectral_convergence, …         and by its magnitudes and its samples (`distances`)
htk_mfcc, pairwise_dtw, drift   the cepstra of sounds, and how far they are from each other
one_nn_accuracy, centres, …     neighbours in a latent space, and what it has of a frequency
scores, calibration, …          how well classes are told apart, and whether one knows how well
balanced, over_sounds, share    … with the uncertainty of seeds and of sounds
interval, listed                means with their intervals, and how evidence states them
"""

from __future__ import annotations

from samplevae_lib.metrics.cepstra import drift, htk_mfcc, pairwise_dtw
from samplevae_lib.metrics.classification import (
    balanced,
    calibration,
    calibration_error,
    over_sounds,
    scores,
    share,
)
from samplevae_lib.metrics.distances import (
    log_spectral_distance,
    residual_db,
    snr_db,
    spectral_convergence,
)
from samplevae_lib.metrics.fingerprints import fingerprint, fingerprint_similarity
from samplevae_lib.metrics.latents import (
    centres,
    decimation_residual,
    dominant_frequency,
    folded,
    one_nn,
    one_nn_accuracy,
)
from samplevae_lib.metrics.peaq.grade import odg
from samplevae_lib.metrics.ratings import Interval, interval, listed

__all__ = [
    "Interval", "balanced", "calibration", "calibration_error", "centres", "decimation_residual",
    "dominant_frequency", "drift", "fingerprint", "fingerprint_similarity", "folded", "htk_mfcc",
    "interval", "listed", "log_spectral_distance", "odg", "one_nn", "one_nn_accuracy",
    "over_sounds", "pairwise_dtw", "residual_db", "scores", "share", "snr_db",
    "spectral_convergence",
]  # fmt: skip
