"""What is measured: what is heard, cepstra and their warping, fingerprints, spectra,
neighbours, levels, intervals."""

from __future__ import annotations

from samplevae_lib.metrics.cepstra import drift, htk_mfcc, pairwise_dtw
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
from samplevae_lib.metrics.ratings import Interval, interval

__all__ = [
    "Interval", "centres", "decimation_residual", "dominant_frequency", "drift", "fingerprint",
    "fingerprint_similarity", "folded", "htk_mfcc", "interval", "log_spectral_distance", "odg",
    "one_nn", "one_nn_accuracy", "pairwise_dtw", "residual_db", "snr_db", "spectral_convergence",
]  # fmt: skip
