"""What is measured: what is heard, cepstra and their warping, fingerprints, spectra,
neighbours, levels, intervals."""

from __future__ import annotations

from samplevae_lib.metrics.aliasing import decimation_residual, dominant_frequency, folded
from samplevae_lib.metrics.dtw import drift, pairwise_dtw
from samplevae_lib.metrics.fingerprint import fingerprint, fingerprint_similarity
from samplevae_lib.metrics.htk import htk_mfcc
from samplevae_lib.metrics.intervals import Interval, interval
from samplevae_lib.metrics.levels import residual_db, snr_db
from samplevae_lib.metrics.neighbours import centres, one_nn, one_nn_accuracy
from samplevae_lib.metrics.odg import odg
from samplevae_lib.metrics.spectra import log_spectral_distance, spectral_convergence

__all__ = [
    "Interval", "centres", "decimation_residual", "dominant_frequency", "drift", "fingerprint",
    "fingerprint_similarity", "folded", "htk_mfcc", "interval", "log_spectral_distance", "odg",
    "one_nn", "one_nn_accuracy", "pairwise_dtw", "residual_db", "snr_db", "spectral_convergence",
]  # fmt: skip
