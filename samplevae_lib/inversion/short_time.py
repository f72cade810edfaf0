"""What several ways from a spectrogram to sound share.

`Frames` leads from short-time spectra to a sound and back. `with_magnitudes` is the step that all
iterations of Griffin and Lim's kind take. `band_gain` says how much louder a sound must get for its
mel bands to be as loud as wanted.

Short-time spectra here are (clips, frames, bins), so that a frame lies in one piece in memory;
those that users give, and get, are (clips, bins, frames).
"""

from __future__ import annotations

import math

import numba
import numpy as np
import torch
from numba import prange
from torch import Tensor, nn
from torch.nn import functional as F

from samplevae_lib.spectral import Spectrogram

_LEAST_ENERGY = 1e-8  # of the windows, summed: divided by where no window reaches
_TINY = 1e-16  # added to squared magnitudes: where there is nothing, there is no phase either
_MOST_GAIN = 4.0  # by which a band is made louder, or softer, at once
_SILENT_SHARE = 1e-16  # of the loudest band's energy, added to every bin's: silence stays silent


class Frames:
    """The STFT and its inverse for clips of a fixed number of frames.

    Spectra are (clips, frames, bins) and complex. Sounds are (clips, samples) with padding: half a
    window of silence before the first frame's centre and behind the last one's, as `Spectrogram`
    has it. `cut` takes the padding off.
    """

    def __init__(self, spec: Spectrogram, frames: int, like: Tensor):
        """like: a real tensor of the precision and on the device to work with."""
        self.n_fft, self.hop, self.frames = spec.n_fft, spec.hop, frames
        self.window = torch.hann_window(spec.n_fft, dtype=like.dtype, device=like.device)
        energy = self._overlap_added((self.window**2).expand(1, frames, -1))
        inside = torch.zeros_like(energy)
        inside[:, spec.n_fft // 2 : spec.n_fft // 2 + spec.hop * (frames - 1)] = 1
        self.share = inside / energy.clamp(min=_LEAST_ENERGY)

    def sound(self, spectra: Tensor) -> Tensor:
        """The padded sound whose STFT is nearest to the spectra, in least squares."""
        windowed = torch.fft.irfft(spectra, n=self.n_fft).mul_(self.window)
        return self._overlap_added(windowed) * self.share

    def spectra(self, sound: Tensor) -> Tensor:
        """The STFT of a padded sound."""
        return torch.fft.rfft(sound.unfold(-1, self.n_fft, self.hop) * self.window)

    def cut(self, sound: Tensor) -> Tensor:
        """A padded sound without its padding: (clips, hop · (frames − 1))."""
        first = self.n_fft // 2
        return sound[:, first : first + self.hop * (self.frames - 1)]

    def _overlap_added(self, frames: Tensor) -> Tensor:
        """(clips, frames, n_fft) → (clips, samples); hop by hop where a window is whole hops."""
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
    """A spectrogram (clips, bins, frames) of any power as magnitudes (clips, frames, bins)."""
    turned = spectrum.transpose(-1, -2).contiguous()
    return turned if spec.power == 1 else turned ** (1 / spec.power)


def random_phases(wanted: Tensor, seed: int) -> Tensor:
    """The wanted magnitudes, of any shape, with phases drawn evenly from the whole circle."""
    generator = torch.Generator().manual_seed(seed)
    turns = torch.rand(wanted.shape, generator=generator, dtype=wanted.dtype)
    return torch.polar(wanted, (2 * math.pi * turns).to(wanted.device))


def with_magnitudes(
    possible: Tensor,
    wanted: Tensor,
    *,
    before: Tensor | None = None,
    momentum: float = 0.0,
    kept: float = 0.0,
) -> Tensor:
    """The wanted magnitudes on the phases of possible + momentum · (possible − before).

    possible, before: complex tensors; wanted: a real one; all of one shape. kept: so many times
    (before − possible) is added to what comes out. Without `before` neither has a meaning.
    """
    before = possible if before is None else before
    if possible.device.type != "cpu" or possible.requires_grad:
        return _in_torch(possible, before, wanted, momentum, kept)
    # As many threads as torch uses, and no more than numba may.
    numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))
    made = torch.empty_like(possible)
    pairs = (torch.view_as_real(t).view(-1, 2).numpy() for t in (possible, before, made))
    amounts = wanted.view(-1).numpy()
    number = amounts.dtype.type
    _compiled(*pairs, amounts, number(momentum), number(kept))
    return made


def _in_torch(
    possible: Tensor, before: Tensor, wanted: Tensor, momentum: float, kept: float
) -> Tensor:
    beyond = possible + momentum * (possible - before)
    found = beyond * (wanted * (beyond.real**2 + beyond.imag**2 + _TINY).rsqrt())
    return found + kept * (before - possible) if kept else found


@numba.njit(parallel=True, fastmath={"contract", "nsz", "arcp"}, cache=True)
def _compiled(possible, before, made, wanted, momentum, kept):
    """What `_in_torch` does, in one sweep over memory instead of eight."""
    tiny = wanted.dtype.type(_TINY)
    for row in prange(len(wanted)):
        away = possible[row, 0] - before[row, 0]
        away_too = possible[row, 1] - before[row, 1]
        real = possible[row, 0] + momentum * away
        imaginary = possible[row, 1] + momentum * away_too
        factor = wanted[row] / np.sqrt(real * real + imaginary * imaginary + tiny)
        made[row, 0] = real * factor - kept * away
        made[row, 1] = imaginary * factor - kept * away_too


def band_gain(spectra: Tensor, wanted: Tensor, filters: Tensor, shares: Tensor) -> Tensor:
    """What to multiply bins by so that mel bands get as loud as wanted: (clips, frames, bins).

    spectra: complex (clips, frames, bins). wanted: magnitudes of the bands, (clips, frames, bands).
    filters: (bins, bands), from bins to bands. shares: (bands, bins), by which the gains of a
    bin's bands are averaged; a bin that no band reaches gets 0. A band's gain is between 1/4 and 4.
    """
    least = _SILENT_SHARE * wanted.amax((1, 2), keepdim=True).square()
    size = (spectra.real.square() + spectra.imag.square() + least).sqrt()
    lacking = wanted / (size @ filters).clamp(min=torch.finfo(size.dtype).tiny)
    return lacking.clamp(1 / _MOST_GAIN, _MOST_GAIN) @ shares


def ready_network(
    network: nn.Module | None, kind: type[nn.Module], spec: Spectrogram, method: str
) -> nn.Module:
    """The network in evaluation mode, if there is one, of this kind and trained for `spec`."""
    name = kind.__name__
    if network is None:
        raise ValueError(
            f"{method} needs network=…, a trained {name}; notebook 01_spectrogram_inversion trains "
            "one"
        )
    if not isinstance(network, kind):
        raise ValueError(f"{method} needs a {name}, not a {type(network).__name__}")
    if network.spec != spec:
        raise ValueError(f"the network was trained for {network.spec}, not for {spec}")
    return network.eval()
