"""A linear VAE of envelopes, fitted in closed form in a second or two.

The ELBO of a VAE whose encoder and decoder are linear has one best value, reached by probabilistic
PCA (Tipping and Bishop, 1999; Lucas et al., Don't Blame the ELBO, NeurIPS 2019), so that nothing
has to be trained by steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits


@dataclass(frozen=True)
class EnvelopeVAE:
    """Envelopes (sounds, bands, segments) in dB ↔ latents (sounds, dimensions), in nature N(0, 1).

    mean: (bands, segments). basis: (dimensions, bands, segments), orthonormal. deviations:
    (dimensions,), of the sounds along each; noise: of what is left in every level, in dB.
    """

    mean: np.ndarray
    basis: np.ndarray
    deviations: np.ndarray
    noise: float

    @classmethod
    def fit(cls, levels: np.ndarray, dimensions: int, *, seed: int = 0) -> EnvelopeVAE:
        """The best linear VAE for these envelopes, (sounds, bands, segments).

        dimensions: of the latent; of n sounds n − 1 at most. seed: of the fast decomposition.

        >>> import numpy as np
        >>> levels = np.random.default_rng(0).normal(-40, 9, size=(30, 8, 5))
        >>> fitted = EnvelopeVAE.fit(levels, 29)
        >>> z = fitted.encode(levels)
        >>> z.shape, bool(np.allclose(fitted.decode(z), levels, atol=1e-3))
        ((30, 29), True)
        """
        rows = np.asarray(levels, np.float32).reshape(len(levels), -1)
        if len(rows) < 2 or not np.isfinite(rows).all():
            raise ValueError(f"levels {np.shape(levels)}: expected two sounds or more, all finite")
        count = min(dimensions, len(rows) - 1, rows.shape[1])
        with threadpool_limits(1):
            found = PCA(count, svd_solver="auto", random_state=seed).fit(rows)
        shape = np.shape(levels)[1:]
        return cls(
            found.mean_.reshape(shape), found.components_.reshape(-1, *shape),
            np.sqrt(np.maximum(found.explained_variance_, 1e-8)).astype(np.float32),
            float(np.sqrt(max(found.noise_variance_, 1e-8))),
        )  # fmt: skip

    def encode(self, levels: np.ndarray) -> np.ndarray:
        """(…, bands, segments) → where the sounds lie, (…, dimensions)."""
        away = np.asarray(levels, np.float32) - self.mean
        return np.einsum("...bs,dbs->...d", away, self.basis, optimize=True) / self.deviations

    def decode(self, z: np.ndarray) -> np.ndarray:
        """(…, dimensions) → envelopes (…, bands, segments) in dB."""
        return self.mean + self.change(z)

    def change(self, z: np.ndarray) -> np.ndarray:
        """The change of the envelope, in dB, that a change of the latent brings."""
        scaled = np.asarray(z, np.float32) * self.deviations
        return np.tensordot(scaled, self.basis, axes=1)
