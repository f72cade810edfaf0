"""Every way from a spectrogram back to sound, one file a way, and `invert` to choose among them."""

from __future__ import annotations

from samplevae_lib.inversion.griffin_lim import linear
from samplevae_lib.inversion.methods import METHODS, Method, invert
from samplevae_lib.inversion.vocoder import available, unheard

__all__ = ["METHODS", "Method", "available", "invert", "linear", "unheard"]
