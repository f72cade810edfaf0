"""A vocoder that turns mel bands into sound in one pass, in the manner of Vocos.

ConvNeXt blocks at frame rate end in a short-time spectrum, which one inverse STFT makes a sound
(Siuzdak, ICLR 2024). Three things differ from it. The magnitudes are corrections of what the bands
imply, so that the network is indifferent to level. And the phases run on: each bin turns at a rate
that the network names, and is set anew where the network opens a gate, as at the onset of a hit; a
convolution alone gives constant phases for constant bands, which no steady tone has. In the end the
sound's own bands are measured, and what they lack of those asked for is made up for, once.
"""

from __future__ import annotations

import json
import math
from functools import cache
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from samplevae_lib import paths
from samplevae_lib.datasets import Dataset
from samplevae_lib.inversion.low_bins import settle
from samplevae_lib.inversion.short_time import Frames
from samplevae_lib.spectral import Spectrogram

RANGE = 1e-5  # of a clip's loudest band: what lies below, 100 dB down, is taken for silence
_MOST = 4.0  # that a band is made louder or softer by, once the sound is there
_LEAST = 1e-16  # of the loudest band's energy: keeps gradients finite in silence
_STEEPEST = 6.0  # nepers that a magnitude can be corrected by


class Block(nn.Module):
    """ConvNeXt (Liu et al., CVPR 2022) in one dimension: (clips, channels, frames) to the same."""

    def __init__(self, channels: int, scale: float):
        super().__init__()
        self.along = nn.Conv1d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.across = nn.Sequential(
            nn.Linear(channels, 3 * channels), nn.GELU(), nn.Linear(3 * channels, channels)
        )
        self.scale = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """(clips, frames, channels) to the same."""
        near = self.along(x.transpose(1, 2)).transpose(1, 2)
        return x + self.scale * self.across(self.norm(near))


class Vocoder(nn.Module):
    """mel bands (clips, n_mels, frames) → sound (clips, hop · (frames − 1))."""

    def __init__(
        self, spec: Spectrogram, *, channels: int = 160, blocks: int = 6, mended: bool = True
    ):
        super().__init__()
        self.mended = mended
        self.spec, self.linear_bins = spec, spec.n_fft // 2 + 1
        self.first = nn.Conv1d(spec.n_mels, channels, 7, padding=3)
        self.first_norm = nn.LayerNorm(channels)
        self.blocks = nn.ModuleList(Block(channels, 1 / blocks) for _ in range(blocks))
        self.last_norm = nn.LayerNorm(channels)
        self.head = nn.Linear(channels, 5 * self.linear_bins)
        self.register_buffer("implied", torch.from_numpy(implied(spec)), persistent=False)
        shares = spec.mel_filters() / np.maximum(spec.mel_filters().sum(0), 1e-12)
        self.register_buffer("filters", torch.from_numpy(spec.mel_filters()), persistent=False)
        self.register_buffer("shares", torch.from_numpy(shares), persistent=False)
        self.register_buffer("turn", torch.from_numpy(_turn(spec)), persistent=False)

    def forward(self, bands: Tensor) -> Tensor:
        """The sound, of the bands' own level; silence where there is none."""
        frames = Frames(self.spec, bands.shape[-1], bands)
        return frames.cut(frames.sound(self.asked(bands)))

    def asked(self, bands: Tensor) -> Tensor:
        """The complex spectrum, (clips, frames, bins), that the sound comes nearest to."""
        spectrum = self.spectrum(bands)
        if not self.mended:
            return spectrum
        frames = Frames(self.spec, bands.shape[-1], bands)
        return self._mended(frames.spectra(frames.sound(spectrum)), bands.transpose(1, 2))

    def spectrum(self, bands: Tensor) -> Tensor:
        """What the network makes of the bands: complex, (clips, frames, bins)."""
        columns = bands.transpose(1, 2)  # (clips, frames, n_mels)
        loudest = columns.amax((1, 2), keepdim=True).clamp(min=torch.finfo(bands.dtype).tiny)
        seen = (columns / loudest).clamp(min=RANGE).log10() / math.log10(RANGE)
        x = self.first(1 - 2 * seen.transpose(1, 2)).transpose(1, 2)
        x = self.first_norm(x)
        for block in self.blocks:
            x = block(x)
        louder, real, imaginary, faster, gate = self.head(self.last_norm(x)).chunk(5, dim=-1)
        magnitude = columns @ self.implied * louder.clamp(max=_STEEPEST).exp()
        return magnitude * self._phase(real, imaginary, faster, gate)

    def _mended(self, possible: Tensor, columns: Tensor) -> Tensor:
        """A spectrum that a sound can have, each bin louder by what its bands lack."""
        least = _LEAST * columns.amax((1, 2), keepdim=True).square()
        size = (possible.real.square() + possible.imag.square() + least).sqrt()
        lacking = columns / (size @ self.filters.T).clamp(min=torch.finfo(columns.dtype).tiny)
        kept = 1 - self.shares.sum(0)  # by bins that no band reaches
        return possible * (lacking.clamp(1 / _MOST, _MOST) @ self.shares + kept)

    def _phase(self, real: Tensor, imaginary: Tensor, faster: Tensor, gate: Tensor) -> Tensor:
        """Numbers of modulus 1, (clips, frames, bins)."""
        set_anew = F.normalize(torch.stack([real, imaginary], -1), dim=-1, eps=1e-4)
        return running(torch.view_as_complex(set_anew), self.turn + faster, torch.sigmoid(gate))


def implied(spec: Spectrogram) -> np.ndarray:
    """(n_mels, bins): magnitudes that a flat spectrum's bands imply, by the bands' own weights."""
    filters = spec.mel_filters().astype(np.float64)  # (n_mels, bins)
    share = filters / np.maximum(filters.sum(1, keepdims=True), 1e-12)  # of flat: 1
    reach = share.sum(0)
    near = np.flatnonzero(reach > 0)
    nearest = near[np.abs(np.arange(len(reach))[:, None] - near).argmin(1)]
    share, reach = share[:, nearest], reach[nearest]
    height = 1 / np.maximum(filters.sum(1, keepdims=True), 1e-12)
    return (share / reach * height).astype(np.float32)


def _turn(spec: Spectrogram) -> np.ndarray:
    """Radians that the middle of each bin turns by in a hop, (bins,)."""
    bins = np.arange(spec.n_fft // 2 + 1)
    return (2 * np.pi * (bins * spec.hop % spec.n_fft) / spec.n_fft).astype(np.float32)


_SMALLEST = 1e-8  # squared modulus: keeps the gradient of a phase finite where two cancel out


def running(anew: Tensor, turn: Tensor, gate: Tensor) -> Tensor:
    """Complex numbers of modulus 1, (clips, frames, bins).

    anew: complex, of modulus 1, what the phase is set to. turn: radians by which it turns from the
    frame before. gate: 0 … 1, how far it is set anew and does not run on. The first frame is.
    """
    kept, given = torch.polar(1 - gate, turn), gate * anew
    state, states = anew[:, 0], [anew[:, 0]]
    for frame in range(1, anew.shape[1]):
        state = torch.addcmul(given[:, frame], kept[:, frame], state)
        states.append(state)
    phases = torch.stack(states, 1)
    return phases * (phases.real.square() + phases.imag.square() + _SMALLEST).rsqrt()


def rebuild(
    bands: Tensor,
    spec: Spectrogram,
    *,
    seed: int = 0,
    network: Vocoder | None = None,
    iterations: int = 60,
) -> Tensor:
    """(clips, n_mels, frames) → (clips, samples); see `models.vocoder` and `low_bins`.

    network: a vocoder trained for these parameters; else the one that is shipped for them.
    iterations: on the low bins; 0 leaves the network's sound as it is, made in one pass.
    """
    network = shipped(spec) if network is None else network
    if network.spec != spec:
        raise ValueError(f"the network was trained for {network.spec}, not for {spec}")
    with torch.inference_mode():
        spectra, frames = network.asked(bands), Frames(spec, bands.shape[-1], bands)
        if iterations:
            settle(spectra, bands, spec, iterations=iterations, seed=seed)
        return frames.cut(frames.sound(spectra))


def available() -> dict[str, dict[str, Any]]:
    """What each shipped vocoder says of itself, by name: parameters, recipe, data, history."""
    found = sorted(paths.vocoders().glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in found}


@cache
def shipped(spec: Spectrogram) -> Vocoder:
    """The shipped vocoder for these parameters."""
    return load(_card(spec)[0])


def unheard(dataset: Dataset, spec: Spectrogram) -> np.ndarray:
    """Which sounds, (n,) of bool, come from machines or instruments the vocoder never heard.

    The vocoder is the one that is shipped for these parameters.
    """
    heard = _card(spec)[1]["data"].get(dataset.name)
    if heard is None or heard["source"] != dataset.source:
        return np.ones(len(dataset), dtype=bool)
    return ~np.isin(dataset.groups, heard["heard"])


def load(name: str) -> Vocoder:
    """A shipped vocoder by its name, ready to use."""
    card = available()[name]
    size = {key: card["recipe"][key] for key in ("channels", "blocks")}
    network = Vocoder(Spectrogram(**card["spec"]), **size)
    weights = load_file(paths.vocoders() / f"{name}.safetensors")
    # Kept in half precision, at half the size.
    network.load_state_dict({name: weight.float() for name, weight in weights.items()})
    return network.eval()


def _card(spec: Spectrogram) -> tuple[str, dict[str, Any]]:
    """Name and card of the shipped vocoder for these parameters."""
    cards = available()
    for name, card in cards.items():
        if Spectrogram(**card["spec"]) == spec:
            return name, card
    told = "; ".join(str(Spectrogram(**card["spec"])) for card in cards.values())
    raise ValueError(
        f"no vocoder is shipped for {spec}; there is {told or 'none'}. Take such parameters, or "
        "train one (as `python -m samplevae_lib vocoder` does) and give it as network="
    )
