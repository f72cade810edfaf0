"""What is measured of sounds and of latent spaces, and with what certainty.

odg, fingerprint_similarity     how close a sound comes to its original: as heard, as recognised
spectral_convergence, …         and by its magnitudes and its samples (`distances`)
htk_mfcc, pairwise_dtw, drift   the cepstra of sounds, and how far they are from each other
one_nn_accuracy, centres, …     neighbours in a latent space, and what it has of a frequency
scores, calibration, …          how well classes are told apart, and whether one knows how well
balanced, over_sounds, share    … with the uncertainty of seeds and of sounds
ndb, frechet, kernel_distance   how close a set of sounds comes to another, as sets (`diversity`)
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
    multi_scale_distance,
    residual_db,
    snr_db,
    spectral_convergence,
)
from samplevae_lib.metrics.diversity import (
    Bins,
    bin_shares,
    floor,
    frechet,
    kernel_distance,
    ndb,
    shrunk,
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
    "Bins", "Interval", "balanced", "bin_shares", "calibration", "calibration_error", "centres",
    "decimation_residual", "dominant_frequency", "drift", "fingerprint", "fingerprint_similarity",
    "floor", "folded", "frechet", "htk_mfcc", "interval", "kernel_distance", "listed",
    "log_spectral_distance", "multi_scale_distance", "ndb", "odg", "one_nn", "one_nn_accuracy",
    "over_sounds", "pairwise_dtw", "residual_db", "scores", "share", "shrunk", "snr_db",
    "spectral_convergence",
]  # fmt: skip
