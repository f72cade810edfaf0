"""From a spectrogram back to sound: `invert` with one of METHODS, one file a way."""

from __future__ import annotations

from samplevae_lib import on_first_use
from samplevae_lib.inversion.griffin_lim import linear
from samplevae_lib.inversion.methods import METHODS, Method, invert
from samplevae_lib.inversion.vocoder import available, unheard

__getattr__ = on_first_use(__name__, "borrowed", "comparison", "envelopes", "log_mel")
__all__ = ["METHODS", "Method", "available", "invert", "linear", "unheard"]
