"""STFT and its inverse as frames, in as few sweeps of memory as an iteration can do with."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from samplevae_lib.spectral import Spectrogram

_LEAST = 1e-8  # of the windows' summed energy: where no window reaches


class Frames:
    """Between spectra (clips, frames, bins) and sounds of a fixed number of frames.

    Time before the first frame's centre and behind the last one's counts as silence, as
    `Spectrogram` has it.
    """

    def __init__(self, spec: Spectrogram, frames: int, like: Tensor):
        self.n_fft, self.hop, self.frames = spec.n_fft, spec.hop, frames
        self.window = torch.hann_window(spec.n_fft, dtype=like.dtype, device=like.device)
        energy = self._added((self.window**2).expand(1, frames, -1))
        inside = torch.zeros_like(energy)
        inside[:, spec.n_fft // 2 : spec.n_fft // 2 + spec.hop * (frames - 1)] = 1
        self.share = inside / energy.clamp(min=_LEAST)

    def sound(self, spectra: Tensor) -> Tensor:
        """The padded sound whose STFT is nearest: (clips, frames, bins) → (clips, samples)."""
        return self._added(torch.fft.irfft(spectra, n=self.n_fft).mul_(self.window)) * self.share

    def spectra(self, sound: Tensor) -> Tensor:
        """The STFT of a padded sound: (clips, samples) → (clips, frames, bins)."""
        return torch.fft.rfft(sound.unfold(-1, self.n_fft, self.hop) * self.window)

    def cut(self, sound: Tensor) -> Tensor:
        """Without the silence around it: (clips, hop · (frames − 1))."""
        first = self.n_fft // 2
        return sound[:, first : first + self.hop * (self.frames - 1)]

    def _added(self, frames: Tensor) -> Tensor:
        """Overlap and add; by whole hops where the window is a multiple of one."""
        if self.n_fft % self.hop:
            samples = self.n_fft + self.hop * (self.frames - 1)
            columns = frames.transpose(1, 2)
            made = F.fold(columns, (1, samples), (1, self.n_fft), stride=(1, self.hop))
            return made[:, 0, 0]
        parts = self.n_fft // self.hop
        pieces = frames.reshape(len(frames), self.frames, parts, self.hop)
        made = frames.new_zeros(len(frames), self.frames - 1 + parts, self.hop)
        for part in range(parts):
            made[:, part : part + self.frames] += pieces[:, :, part]
        return made.flatten(1)
