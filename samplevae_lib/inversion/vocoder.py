"""The neural way: a network that turns mel bands into sound in one pass, in the manner of Vocos.

ConvNeXt blocks at frame rate end in a short-time spectrum, which one inverse STFT makes a sound
(Siuzdak, ICLR 2024). Three things differ from Vocos. The magnitudes are corrections of what the
bands imply, so that a louder clip gives the same sound, louder. The phases run on: each bin turns
at a rate that the network names, and is set anew where the network opens a gate, as at the onset of
a hit; a convolution alone gives constant phases for constant bands, which no steady tone has. And
in the end the bands of the sound are measured, and each bin is made louder or softer, once, by what
its bands lack. `low_bins` then settles the lowest bins.

Networks for two sets of parameters come with the project (`available`); `vocoder_recipe` is how
they were trained.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samplevae_lib import paths
from samplevae_lib.datasets import Dataset
from samplevae_lib.inversion.low_bins import settle
from samplevae_lib.inversion.short_time import Frames, band_gain
from samplevae_lib.spectral import Spectrogram, decibels
from samplevae_lib.weights import Shipped

RANGE_DB = 100.0  # below a clip's loudest band: what lies lower is taken for silence
_STEEPEST = 6.0  # nepers that a magnitude can be corrected by
_TINY = 1e-12  # sum of a filter: divided by where no filter reaches
_SMALLEST = 1e-8  # squared modulus: keeps the gradient of a phase finite where two cancel out


def rebuild(
    bands: Tensor,
    spec: Spectrogram,
    *,
    seed: int = 0,
    network: Vocoder | None = None,
    iterations: int = 60,
) -> Tensor:
    """Mel bands (clips, n_mels, frames) → (clips, samples).

    network: a vocoder trained for these parameters; else the one that comes with the project.
    iterations: spent on the low bins (`low_bins`); 0 leaves the network's sound as it is, made in
    one pass. seed: of the random phases the low bins begin with where there is next to nothing.
    """
    network = shipped(spec) if network is None else network
    if network.spec != spec:
        raise ValueError(f"the network was trained for {network.spec}, not for {spec}")
    with torch.inference_mode():
        spectra, frames = network.asked(bands), Frames(spec, bands.shape[-1], bands)
        if iterations:
            settle(spectra, bands, spec, iterations=iterations, seed=seed)
        return frames.cut(frames.sound(spectra))


class Vocoder(nn.Module):
    """mel bands (clips, n_mels, frames) → sound (clips, hop · (frames − 1)).

    channels, blocks: of the network. mended: whether bins are made louder by what their bands lack;
    that has nothing to learn, so training does without.
    """

    def __init__(
        self, spec: Spectrogram, *, channels: int = 160, blocks: int = 6, mended: bool = True
    ):
        super().__init__()
        self.mended = mended
        self.spec = spec
        self.first = nn.Conv1d(spec.n_mels, channels, 7, padding=3)
        self.first_norm = nn.LayerNorm(channels)
        self.blocks = nn.ModuleList(Block(channels, 1 / blocks) for _ in range(blocks))
        self.last_norm = nn.LayerNorm(channels)
        self.head = nn.Linear(channels, 5 * (spec.n_fft // 2 + 1))
        filters = spec.mel_filters()
        fixed = {
            "implied": implied(spec),
            "filters": filters,
            "shares": filters / np.maximum(filters.sum(0), _TINY),
            "turn": _turn(spec),
        }
        for name, array in fixed.items():
            self.register_buffer(name, torch.from_numpy(array), persistent=False)

    def forward(self, bands: Tensor) -> Tensor:
        """The sound, at the bands' own level; silence where there is none."""
        frames = Frames(self.spec, bands.shape[-1], bands)
        return frames.cut(frames.sound(self.asked(bands)))

    def asked(self, bands: Tensor) -> Tensor:
        """The complex spectrum, (clips, frames, bins), that the sound comes nearest to."""
        spectrum = self.spectrum(bands)
        if not self.mended:
            return spectrum
        frames = Frames(self.spec, bands.shape[-1], bands)
        possible = frames.spectra(frames.sound(spectrum))
        gain = band_gain(possible, bands.transpose(1, 2), self.filters.T, self.shares)
        return possible * (gain + 1 - self.shares.sum(0))  # 1 for bins that no band reaches

    def spectrum(self, bands: Tensor) -> Tensor:
        """What the network makes of the bands: complex, (clips, frames, bins)."""
        level = decibels(bands, floor=-RANGE_DB).level
        x = self.first(1 + level * (2 / RANGE_DB)).transpose(1, 2)  # (clips, frames, channels)
        x = self.first_norm(x)
        for block in self.blocks:
            x = block(x)
        louder, real, imaginary, faster, gate = self.head(self.last_norm(x)).chunk(5, dim=-1)
        correction = louder.clamp(max=_STEEPEST).exp()
        magnitude = bands.transpose(1, 2) @ self.implied * correction
        return magnitude * self._phase(real, imaginary, faster, gate)

    def _phase(self, real: Tensor, imaginary: Tensor, faster: Tensor, gate: Tensor) -> Tensor:
        """Numbers of modulus 1, (clips, frames, bins)."""
        set_anew = F.normalize(torch.stack([real, imaginary], -1), dim=-1, eps=1e-4)
        return running(torch.view_as_complex(set_anew), self.turn + faster, torch.sigmoid(gate))


class Block(nn.Module):
    """ConvNeXt (Liu et al., CVPR 2022) in one dimension; scale: of what it adds, at first."""

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


def running(anew: Tensor, turn: Tensor, gate: Tensor) -> Tensor:
    """Phases that turn on from frame to frame, as complex numbers of modulus 1.

    All are (clips, frames, bins). anew: complex, of modulus 1, what a phase is set to. turn:
    radians by which it turns from the frame before. gate: 0 … 1, how far it is set anew instead of
    turning on. In the first frame it is set.
    """
    kept, given = torch.polar(1 - gate, turn), gate * anew
    state, states = anew[:, 0], [anew[:, 0]]
    for frame in range(1, anew.shape[1]):
        state = torch.addcmul(given[:, frame], kept[:, frame], state)
        states.append(state)
    phases = torch.stack(states, 1)
    return phases * (phases.real.square() + phases.imag.square() + _SMALLEST).rsqrt()


def implied(spec: Spectrogram) -> np.ndarray:
    """(n_mels, bins): from mel bands to magnitudes, exact where the spectrum is flat."""
    filters = spec.mel_filters().astype(np.float64)  # (n_mels, bins)
    share = filters / np.maximum(filters.sum(1, keepdims=True), _TINY)  # each band's sum is 1
    reach = share.sum(0)
    near = np.flatnonzero(reach > 0)
    nearest = near[np.abs(np.arange(len(reach))[:, None] - near).argmin(1)]
    share, reach = share[:, nearest], reach[nearest]
    height = 1 / np.maximum(filters.sum(1, keepdims=True), _TINY)
    return (share / reach * height).astype(np.float32)


def _turn(spec: Spectrogram) -> np.ndarray:
    """Radians that the middle of each bin turns by in a hop, (bins,)."""
    bins = np.arange(spec.n_fft // 2 + 1)
    return (2 * np.pi * (bins * spec.hop % spec.n_fft) / spec.n_fft).astype(np.float32)


def available() -> dict[str, dict[str, Any]]:
    """The cards of the vocoders that come with the project, by name.

    A card holds "spec", "recipe", "data" (what was heard in training, and what never), "history",
    "seconds", "commit" and "machine".
    """
    found = sorted(paths.vocoders().glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in found}


def load(name: str) -> Vocoder:
    """The vocoder of this name that comes with the project, ready to use."""
    card = available()[name]
    size = {key: card["recipe"][key] for key in ("channels", "blocks")}
    network = Vocoder(Spectrogram(**card["spec"]), **size)
    arrays = Shipped(paths.vocoders().name, name, card).arrays()
    network.load_state_dict({key: torch.from_numpy(array) for key, array in arrays.items()})
    return network.eval()


@cache
def shipped(spec: Spectrogram) -> Vocoder:
    """The vocoder for these parameters that comes with the project."""
    return load(_card(spec)[0])


def unheard(dataset: Dataset, spec: Spectrogram) -> np.ndarray:
    """Which sounds of a dataset the vocoder never heard, nor others like them: (n,) of bool.

    True where a sound's drum machine or instrument had no part in the training of the vocoder that
    comes with the project for these parameters.
    """
    heard = _card(spec)[1]["data"].get(dataset.name)
    if heard is None or heard["source"] != dataset.source:
        return np.ones(len(dataset), dtype=bool)
    return ~np.isin(dataset.groups, heard["heard"])


def _card(spec: Spectrogram) -> tuple[str, dict[str, Any]]:
    """Name and card of the vocoder for these parameters."""
    cards = available()
    for name, card in cards.items():
        if Spectrogram(**card["spec"]) == spec:
            return name, card
    told = "; ".join(str(Spectrogram(**card["spec"])) for card in cards.values())
    raise ValueError(
        f"no vocoder is shipped for {spec}; there is {told or 'none'}. Take such parameters, or "
        "train one (as `python -m samplevae_lib weights vocoders/22050`) and give it as network="
    )
