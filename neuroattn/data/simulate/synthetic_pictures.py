"""The 284 pictures of a simulated NSD-synthetic: drawn here, in the classes of the real ones.

Noise, four grey scenes and what can be done to them, single words in five places, spiral
gratings, and noise in sixteen hues (Gifford et al. 2026, Nat Commun; NSD data manual,
"Functional data (nsdsynthetic)"). Everything is drawn at the resolution of the scenes on a
canvas as wide as the display, of which the middle square fills the field.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from neuroattn.core.seeding import generator
from neuroattn.data.nsd import layout
from neuroattn.data.simulate.experiments import pattern, thing
from neuroattn.data.simulate.gallery import Compose
from neuroattn.data.simulate.scene import ATTRIBUTES, Scene

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]

GREY: Final = 0.5
EACH: Final = 4  # pictures of a subclass
SCENES: Final = 1_000_000  # number of the first scene that serves here, far from all others
CONTRASTS: Final = (1.0, 0.5, 0.1, 0.06, 0.04)
COHERENCES: Final = (0.75, 0.5, 0.25, 0.0)
SEEN_FROM: Final = {"contrast": 0.1, "coherence": 0.5}  # below, nothing is recognised
WORDS: Final = {
    4: ("milk", "gold", "rain", "jazz"),
    6: ("garden", "silver", "window", "orange"),
}
PLACES: Final = (-6.2, -2.6, 0.0, 2.6, 6.2)  # degrees; the first and last lie outside the field
SPIRALS: Final = "ABCD"  # pinwheel, spiral one way, rings, spiral the other way
BETWEEN: Final = "EFGH"  # directions half way between those, at one frequency
FREQUENCIES: Final = 6
HUES: Final = layout.SYNTHETIC_COLOUR // EACH
_FIELD_DEGREES: Final = 8.4
_BLOCK: Final = 8  # side of the large blocks, share of the field
_LUMINANCE: Final = np.array([0.2126, 0.7152, 0.0722])


@dataclass(frozen=True, eq=False)
class Drawn:
    """One picture.

    Parameters
    ----------
    canvas : (side, width, 3) uint8, as it was seen; its middle (side, side) is the field.
    scene : what the late rules read in it.
    """

    name: str
    subclass: str
    group: str
    canvas: Picture
    scene: Scene

    @property
    def pixels(self) -> Picture:
        """The part of the canvas in the field: (side, side, 3)."""
        side, width, _ = self.canvas.shape
        left = (width - side) // 2
        return np.ascontiguousarray(self.canvas[:, left : left + side])


def flank(side: int) -> int:
    """Columns of the canvas on either side of the field."""
    high, wide = layout.SYNTHETIC_SHAPE
    return round(side * (wide - high) / 2 / high)


def shared_pictures(seed: int, side: int, compose: Compose) -> Iterator[Drawn]:
    """The 220 pictures that all subjects see, in the order of the file."""
    random = generator(seed, "synthetic", "pictures")
    yield from _noises(random, side)
    scenes = [compose(SCENES + number, True) for number in range(EACH)]
    yield from _scenes(scenes, random)
    yield from _words(side)
    yield from _spirals(side)
    for number in range(1, EACH + 1):
        values = GREY + 0.3 * _smooth(random, side)
        yield _pattern(f"achromaticnoise_{number}", "Achromatic noise", "Noise", values)


def colour_pictures(seed: int, side: int, subject: int) -> Iterator[Drawn]:
    """The 64 pictures made for one subject (from 1): four patterns in sixteen hues.

    They differ from subject to subject in strength, as those of NSD do in what was equally
    bright to each.
    """
    patterns = [_smooth(generator(seed, "synthetic", "colour", k), side) for k in range(EACH)]
    strength = 0.16 + 0.04 * generator(seed, "synthetic", "colour", "subject", subject).random()
    for hue in range(HUES):
        angle = 2 * np.pi * hue / HUES
        for number, values in enumerate(patterns, start=1):
            coloured = GREY + strength * values[..., None] * _direction(angle)
            yield _pattern(
                f"chromaticnoise_hue{hue + 1}_{number}", f"Chromatic noise hue {hue + 1}",
                "Chromatic noise", coloured,
            )  # fmt: skip


def _noises(random: np.random.Generator, side: int) -> Iterator[Drawn]:
    block = max(side // _BLOCK, 1)
    for number in range(1, EACH + 1):
        yield _pattern(f"whitenoise_{number}", "White noise", "Noise", random.random((side, side)))
    for number in range(1, EACH + 1):
        coarse = random.random((-(-side // block),) * 2)
        values = coarse.repeat(block, axis=0).repeat(block, axis=1)[:side, :side]
        yield _pattern(
            f"whitenoiselarge_{number}", "White noise with large blocks", "Noise", values
        )
    for number in range(1, EACH + 1):
        values = GREY + 0.2 * _shaped(random.normal(size=(side, side)), 1.0)
        yield _pattern(f"pinknoise_{number}", "Pink noise", "Noise", values)


def _scenes(scenes: list[Scene], random: np.random.Generator) -> Iterator[Drawn]:
    grey = [scene.pixels @ _LUMINANCE / 255 for scene in scenes]
    changed = (
        ("natscene", "Natural scenes", "Natural scenes", lambda values: values),
        ("upsidedown", "Upside-down", "Manipulated scenes", lambda values: values[::-1]),
        ("mooney", "Mooney", "Manipulated scenes", _mooney),
        ("linedrawing", "Line-drawing", "Manipulated scenes", _lines),
    )
    for name, subclass, group, change in changed:
        for number, (values, scene) in enumerate(zip(grey, scenes, strict=True), start=1):
            yield Drawn(f"{name}_{number}", subclass, group, _on_canvas(change(values)), scene)
    for level in CONTRASTS:
        for number, (values, scene) in enumerate(zip(grey, scenes, strict=True), start=1):
            name, text = f"contrast{100 * level:.0f}_{number}", f"Contrast {100 * level:.0f} %"
            held = scene if level >= SEEN_FROM["contrast"] else pattern()
            canvas = _on_canvas(GREY + level * (values - GREY))
            yield Drawn(name, text, "Contrast modulation", canvas, held)
    for level in COHERENCES:
        for number, (values, scene) in enumerate(zip(grey, scenes, strict=True), start=1):
            name, text = f"phase{100 * level:.0f}_{number}", f"Coherence {100 * level:.0f} %"
            held = scene if level >= SEEN_FROM["coherence"] else pattern()
            canvas = _on_canvas(_scrambled(values, level, random))
            yield Drawn(name, text, "Phase-coherence modulation", canvas, held)


def _words(side: int) -> Iterator[Drawn]:
    looks = dict.fromkeys(ATTRIBUTES, 0.0) | {"contrast": 1.0}
    for length, words in WORDS.items():
        for place, degrees in enumerate(PLACES, start=1):
            inside = abs(degrees) < _FIELD_DEGREES / 2
            scene = pattern((thing("word", looks),) if inside else ())
            for number, word in enumerate(words, start=1):
                yield Drawn(
                    f"word{length}_pos{place}_{number}", f"{length} letters, position {place}",
                    "Single words", _word(word, degrees, side), scene,
                )  # fmt: skip


def _spirals(side: int) -> Iterator[Drawn]:
    ladder = np.geomspace(3.0, side / 5, FREQUENCIES)
    kinds = [(name, 2 * k, f) for k, name in enumerate(SPIRALS) for f in range(FREQUENCIES)]
    kinds += [(name, 2 * k + 1, FREQUENCIES // 2) for k, name in enumerate(BETWEEN)]
    for name, eighth, frequency in kinds:
        angle = np.pi * eighth / 8
        for phase in range(EACH):
            values = _spiral(side, float(ladder[frequency]), angle, np.pi / 2 * phase)
            text = f"Spiral {name}, frequency {frequency + 1}"
            yield _pattern(
                f"spiral_{name}_sf{frequency + 1}_{phase + 1}", text, "Spiral gratings", values
            )


def _spiral(side: int, cycles: float, angle: float, phase: float) -> Floats:
    """A grating whose period grows with eccentricity: spokes at angle 0, rings at 90 degrees.

    The middle, where pixels could not show it, and what is outside the circle are grey.
    """
    axis = (np.arange(side) + 0.5) - side / 2
    far = np.hypot(axis[None], axis[:, None])
    turn = np.arctan2(axis[:, None], axis[None])
    around = round(cycles * np.cos(angle))  # whole, so that the ends of a turn meet
    along = around * turn + cycles * np.sin(angle) * np.log(far)
    inside = (far < side / 2) & (far > cycles / np.pi)
    return np.where(inside, GREY + 0.5 * np.cos(along + phase), GREY)


def _smooth(random: np.random.Generator, side: int) -> Floats:
    """Noise without fine detail, about -1 to 1."""
    return np.clip(_shaped(random.normal(size=(side, side)), 1.5) / 2.0, -1.0, 1.0)


def _shaped(noise: Floats, power: float) -> Floats:
    """``noise`` with amplitudes falling as frequency to the ``power``; mean 0, variance 1."""
    rows, columns = (np.fft.fftfreq(count) for count in noise.shape)
    frequency = np.hypot(rows[:, None], columns[None])
    frequency[0, 0] = np.inf
    values = np.fft.ifft2(np.fft.fft2(noise) / frequency**power).real
    return np.asarray((values - values.mean()) / values.std())


def _scrambled(values: Floats, coherence: float, random: np.random.Generator) -> Floats:
    """The picture with its amplitudes, and phases that are partly those of noise."""
    spectrum = np.fft.fft2(values)
    noise = np.fft.fft2(random.normal(size=values.shape))
    mixed = coherence * np.exp(1j * np.angle(spectrum)) + (1 - coherence) * np.exp(
        1j * np.angle(noise)
    )
    mixed[0, 0] = np.exp(1j * np.angle(spectrum[0, 0]))
    changed = np.abs(spectrum) * np.exp(1j * np.angle(mixed))
    return np.asarray(np.fft.ifft2(changed).real)


def _mooney(values: Floats) -> Floats:
    """Black and white at the median of the blurred picture."""
    soft = _blurred(values, 0.02)
    return (soft > np.median(soft)).astype(np.float64)


def _lines(values: Floats) -> Floats:
    """Dark lines where the picture's brightness changes most."""
    down, across = np.gradient(_blurred(values, 0.008))
    strength = np.hypot(down, across)
    return np.where(strength > np.quantile(strength, 0.9), 0.0, 1.0)


def _blurred(values: Floats, share: float) -> Floats:
    picture = Image.fromarray(_bytes(values))
    soft = picture.filter(ImageFilter.GaussianBlur(share * len(values)))
    return np.asarray(soft, dtype=np.float64) / 255


def _word(word: str, degrees: float, side: int) -> Picture:
    """White letters on grey, drawn large and reduced: (side, width, 3)."""
    more, width = 4, side + 2 * flank(side)
    picture = Image.new("L", (more * width, more * side), round(255 * GREY))
    font = ImageFont.truetype(f"{mpl.get_data_path()}/fonts/ttf/DejaVuSansMono-Bold.ttf", 100)
    left, _, right, _ = font.getbbox("m" * len(word))
    degree = more * side / _FIELD_DEGREES
    font = font.font_variant(size=100 * 3.0 * degree / (right - left))
    middle = (more * width / 2 + degrees * degree, more * side / 2)
    ImageDraw.Draw(picture).text(middle, word, fill=255, font=font, anchor="mm")
    grey = np.asarray(picture.resize((width, side), Image.Resampling.BOX))
    return np.repeat(grey[..., None], 3, axis=2)


def _direction(angle: float) -> Floats:
    """A change of colour (3,) that leaves the sum of light as it is."""
    red, blue = np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])
    axes = [axis - _LUMINANCE * (axis @ _LUMINANCE) / (_LUMINANCE @ _LUMINANCE)
            for axis in (red, blue)]  # fmt: skip
    colour = np.cos(angle) * axes[0] + np.sin(angle) * axes[1]
    return np.asarray(colour / np.abs(colour).max())


def _pattern(name: str, subclass: str, group: str, values: Floats) -> Drawn:
    return Drawn(name, subclass, group, _on_canvas(values), pattern())


def _on_canvas(values: Floats) -> Picture:
    """Values in 0 to 1, (side, side) or (side, side, 3), on a grey canvas of uint8."""
    coloured = values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)
    margin = flank(len(values))
    return np.pad(
        _bytes(coloured), ((0, 0), (margin, margin), (0, 0)), constant_values=round(255 * GREY)
    )


def _bytes(values: Floats) -> Picture:
    return np.rint(255 * np.clip(values, 0.0, 1.0)).astype(np.uint8)
