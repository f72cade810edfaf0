"""How fast grades are computed, and PEAQ's ear model beside one that takes frame after frame.

`python -m benchmarks.odg` prints the table.
"""

from __future__ import annotations

import numpy as np

from benchmarks.medians import medians
from samplevae_lib.metrics.peaq import ear
from samplevae_lib.metrics.peaq.grade import odg

SECONDS = (0.5, 4.0, 30.0)


def run(*, rounds: int = 3) -> str:
    """The table: seconds of each on one thread, and how many seconds of sound it does in one.

    rounds: how often each is timed; the median counts.
    """
    pairs = {seconds: pair(seconds) for seconds in SECONDS}
    ways = {f"odg, {s:g} s": (s, lambda p=p: odg(*p, ear.RATE)) for s, p in pairs.items()}
    for name, way in {"plain frame by frame": plain_ear, "samplevae": compiled_ear}.items():
        ways[f"ear alone, 4 s, {name}"] = (4.0, lambda way=way: way(pairs[4.0][0]))
    taken = medians({name: way for name, (_, way) in ways.items()}, rounds=rounds)
    return "\n".join(
        [
            f"sounds at {ear.RATE} Hz, one thread, medians of {rounds} rounds; the ear alone hears "
            "one sound, a grade two; under 3 s a pair is repeated to 4 s",
            *(f"{n:37} {t:8.4f} s {ways[n][0] / t:7.1f} × real time" for n, t in taken.items()),
            agreement(pairs[4.0][0]),
        ]
    )


def pair(seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """A sound of so many seconds, two decaying bursts a second, and the same with noise added."""
    rng, count = np.random.default_rng(0), round(seconds * ear.RATE)
    sound = rng.normal(size=count) * np.exp(-8 * (np.arange(count) / ear.RATE % 0.5)) * 0.2
    return sound, sound + 0.002 * rng.normal(size=count)


def compiled_ear(sound: np.ndarray) -> np.ndarray:
    """Excitation of a sound (samples,) by the library, all frames at once: (frames, 109)."""
    return ear.hear(ear.in_bands(ear.power(ear.frames(sound)))).lasting


def plain_ear(sound: np.ndarray) -> np.ndarray:
    """The same excitation in plain numpy, one frame and one band after the other."""
    bands, decay = ear.bands(), ear.decays(0.030)
    share, of_ones = bands.share.toarray(), plain_spread(np.ones(ear.BANDS))
    slow, heard = np.zeros(ear.BANDS), []
    for frame in ear.frames(sound):
        energy = share @ ear.power(frame[None])[0]
        spread = plain_spread(np.maximum(energy, ear.LEAST) + bands.noise) / of_ones
        slow = decay * slow + (1 - decay) * spread
        heard.append(np.maximum(slow, spread))
    return np.array(heard)


def plain_spread(energy: np.ndarray) -> np.ndarray:
    """Spreading over bands as Kabal's section 2.8 states it: (109,) → (109,)."""
    at, total = np.arange(ear.BANDS), np.zeros(ear.BANDS)
    slopes = -24 - 230 / ear.bands().centre + 2 * np.log10(energy)  # dB a Bark
    for band in at:
        away = ear.STEP * (at - band)
        level = np.where(away < 0, 27 * away, slopes[band] * away)
        shape = 10 ** (level / 10)
        total += (energy[band] * shape / shape.sum()) ** 0.4
    return total**2.5


def agreement(sound: np.ndarray) -> str:
    """The largest difference between both ears' excitations, in shares of the plain one's."""
    plain = plain_ear(sound)
    return f"largest difference between both: {np.abs(compiled_ear(sound) / plain - 1).max():.1e}"


if __name__ == "__main__":
    print(run())
