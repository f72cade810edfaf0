"""STFT and its inverse as frames, in as few sweeps of memory as an iteration can do with."""

from __future__ import annotations

import math

import numba
import numpy as np
import torch
from numba import prange
from torch import Tensor, nn
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


def magnitudes(spectrum: Tensor, spec: Spectrogram) -> Tensor:
    """(clips, bins, frames) of any power as magnitudes (clips, frames, bins)."""
    turned = spectrum.transpose(-1, -2).contiguous()
    return turned if spec.power == 1 else turned ** (1 / spec.power)


def random_phases(wanted: Tensor, seed: int) -> Tensor:
    """A complex tensor of the wanted magnitudes, each phase as likely as any other."""
    generator = torch.Generator().manual_seed(seed)
    turns = torch.rand(wanted.shape, generator=generator, dtype=wanted.dtype)
    return torch.polar(wanted, (2 * math.pi * turns).to(wanted.device))


_TINY = 1e-16  # squared: keeps the phase of nothing at nothing


def ahead(possible: Tensor, before: Tensor, wanted: Tensor, momentum: float) -> Tensor:
    """Phases of possible + momentum · (possible − before), with the wanted magnitudes.

    possible, before: complex; wanted: real, all of one shape.
    """
    if possible.device.type != "cpu" or possible.requires_grad:
        return _plain(possible, before, wanted, momentum)
    numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))
    made = torch.empty_like(possible)
    pairs = (torch.view_as_real(t).view(-1, 2).numpy() for t in (possible, before, made))
    step = np.asarray(momentum, dtype=torch.view_as_real(possible).numpy().dtype)
    _compiled(*pairs, wanted.view(-1).numpy(), step[()])
    return made


def _plain(possible: Tensor, before: Tensor, wanted: Tensor, momentum: float) -> Tensor:
    beyond = possible + momentum * (possible - before)
    return beyond * (wanted * (beyond.real**2 + beyond.imag**2 + _TINY).rsqrt())


@numba.njit(parallel=True, fastmath={"contract", "nsz", "arcp"}, cache=True)
def _compiled(possible, before, made, wanted, momentum):
    tiny = wanted.dtype.type(_TINY)
    for row in prange(len(wanted)):
        real = possible[row, 0] + momentum * (possible[row, 0] - before[row, 0])
        imaginary = possible[row, 1] + momentum * (possible[row, 1] - before[row, 1])
        factor = wanted[row] / np.sqrt(real * real + imaginary * imaginary + tiny)
        made[row, 0], made[row, 1] = real * factor, imaginary * factor


def fitting(network: nn.Module | None, spec: Spectrogram, method: str, kind: str) -> nn.Module:
    """The network in evaluation, if there is one and it was trained for such spectrograms."""
    if network is None:
        raise ValueError(
            f"{method} needs network=…, a trained {kind}; notebook 01_spectrogram_inversion trains one"
        )
    if type(network).__name__ != kind:
        raise ValueError(f"{method} needs a {kind}, not a {type(network).__name__}")
    if network.spec != spec:
        raise ValueError(f"the network was trained for {network.spec}, not for {spec}")
    return network.eval()
