"""The map of a library as an instrument: a click anywhere makes the sound of that place.

The page's side, `map.js`, draws and plays; this side knows the library and answers its questions.
"""

from __future__ import annotations

import io
from html import escape
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from samplevae_lib import plots
from samplevae_lib.widgets import page

FEATURES = ("bright", "noisy", "long")
EDGE = 0.15  # how far the shading reaches beyond the sounds, on axes that these fill from 0 to 1
_CELLS = 96  # of the shading, each way
_SAVED = "This is a picture: the map plays where a kernel runs it, or on a page made to be shared."


class Map(anywidget.AnyWidget):
    """An instrument that plays a library and what lies between its sounds, in a notebook.

    library: as `samplevae_lib.library.open` gives one, or anything with the members of it that are
        used here: sample_rate, sounds, points, regions, and the functions guess, sound, make,
        combine, graft and similar.
    title: what stands above the map. height: of the map, in pixels.
    """

    _esm = Path(__file__).with_name("map.js")
    _css = Path(__file__).with_name("map.css")
    about = traitlets.Dict().tag(sync=True)
    values = traitlets.Bytes().tag(sync=True)  # float32: points, then a row of each column
    guess = traitlets.Bytes().tag(sync=True)  # a byte a cell, rows from low y to high, 255 guessing
    height = traitlets.Int().tag(sync=True)

    def __init__(self, library: Any, *, title: str = "", height: int = 560):
        sounds = library.sounds
        columns = [sounds[name] for name in ("seconds", *FEATURES)]
        parts = [np.ravel(library.points), *columns]
        labels = [str(label) for label in sounds["kind"]]
        about = {
            "title": " · ".join(filter(None, (title, page.notice()))),
            "rate": int(library.sample_rate),
            "names": [str(name) for name in sounds["name"]],
            "labels": labels,
            "classes": sorted(set(labels) - {""}),
            "features": FEATURES,
            "regions": [
                {"x": float(x), "y": float(y), "name": str(name)} for x, y, name in library.regions
            ],
            "guess": {"width": _CELLS, "height": _CELLS},
        }  # fmt: skip
        super().__init__(
            about=about, height=height, guess=shading(library, _CELLS).tobytes(),
            values=np.concatenate(parts).astype("<f4").tobytes(),
        )  # fmt: skip
        self.library = library
        self.on_msg(self._answer)

    def _answer(self, _: Map, question: dict, buffers: list) -> None:
        """Send the answer to one question of the page; what goes wrong is answered as text."""
        known = {
            "sound": self._sound, "make": self._make, "combine": self._combine,
            "graft": self._graft, "similar": self._similar,
        }  # fmt: skip
        try:
            fields, audio = known[question["ask"]](question, buffers)
        except Exception as error:  # whatever it is, the page shows it and goes on
            fields, audio = {"error": f"{type(error).__name__}: {error}"}, None
        sent = [] if audio is None else [np.asarray(audio, "<f4").tobytes()]
        self.send({"id": question["id"], **fields}, sent)

    def _sound(self, question: dict, _: list) -> tuple[dict, np.ndarray]:
        audio = self.library.sound(int(question["index"]))
        return {"rate": int(self.library.sample_rate)}, audio

    def _make(self, question: dict, _: list) -> tuple[dict, np.ndarray]:
        place = np.array([question["x"], question["y"]], np.float32)
        return self._told(self.library.make(place, again=int(question["again"])))

    def _combine(self, question: dict, _: list) -> tuple[dict, np.ndarray]:
        terms = [(_which(term), term["weight"]) for term in question["terms"]]
        return self._told(self.library.combine(terms))

    def _graft(self, question: dict, _: list) -> tuple[dict, np.ndarray]:
        return self._told(self.library.graft(_which(question["attack"]), _which(question["body"])))

    def _similar(self, question: dict, buffers: list) -> tuple[dict, None]:
        audio = np.frombuffer(buffers[0], "<f4")
        found = self.library.similar(audio, int(question["rate"]), int(question["k"]))
        rows = zip(*found, strict=True)
        return {"found": [{"index": int(i), "distance": float(far)} for i, far in rows]}, None

    def _told(self, made: Any) -> tuple[dict, np.ndarray]:
        near = zip(made.nearest, made.distances, made.weights, strict=True)
        fields = {
            "rate": int(self.library.sample_rate), "guess": float(made.guess),
            "lender": int(made.lender),
            "nearest": [
                {"index": int(i), "distance": float(far), "weight": float(share)}
                for i, far, share in near
            ],
        }  # fmt: skip
        return fields, made.audio

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict, dict]:
        """What a notebook shows; where there is no kernel, as in a saved page, a picture."""
        bundle, more = super()._repr_mimebundle_(**options)
        title = escape(self.about["title"]) or "Map"
        image = page.data_url("image/png", picture(self.library))
        html = (
            f'<figure><figcaption><b>{title}</b></figcaption><img src="{image}" width="480" '
            f'alt="map of {len(self.about["names"])} sounds"><p>{_SAVED}</p></figure>'
        )
        return bundle | {"text/html": html}, more


def _which(term: dict) -> int | tuple[float, float]:
    """A sound's index or a place, as the library takes them."""
    return term["index"] if "index" in term else (term["x"], term["y"])


def shading(library: Any, cells: int) -> np.ndarray:
    """Where a library guesses: (cells, cells) bytes, y by x, from 0, well known, to 255.

    They cover 0.15 more than the sounds on every side; each holds the value of its middle.
    """
    middles = (np.arange(cells) + 0.5) / cells * (1 + 2 * EDGE) - EDGE
    places = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2).astype(np.float32)
    shares = np.clip(library.guess(places), 0, 1).reshape(cells, cells)
    return np.round(255 * shares).astype(np.uint8)


def picture(library: Any) -> bytes:
    """The map as a small PNG: its sounds by class, darker where it guesses."""
    import matplotlib.pyplot as plt

    labels = np.array([str(label) for label in library.sounds["kind"]])
    kinds = {name: i for i, name in enumerate(sorted(set(labels) - {""}))}
    colours = [plots.COLOURS[kinds[x] % len(plots.COLOURS)] if x else "#999999" for x in labels]
    figure, axes = plt.subplots(figsize=(4.8, 3.6), layout="constrained")
    around = (-EDGE, 1 + EDGE, -EDGE, 1 + EDGE)
    axes.imshow(
        shading(library, _CELLS), cmap="Greys", vmax=700, origin="lower", extent=around,
        aspect="auto",
    )  # fmt: skip
    axes.scatter(*np.asarray(library.points).T, s=4, c=colours, linewidths=0)
    for x, y, name in library.regions:
        axes.text(x, y, name, ha="center", va="center", fontsize=8, weight="bold", parse_math=False)
    axes.set(xticks=[], yticks=[], xlim=(-0.06, 1.06), ylim=(-0.06, 1.06))
    with io.BytesIO() as file:
        figure.savefig(file, format="png", dpi=100)
        plt.close(figure)
        return file.getvalue()
