from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from neuroattn.core.errors import ConfigError
from neuroattn.features.blur import (
    Blur,
    deviation_of,
    fovea_weight,
    gaussian_matrix,
    levels,
    lowres_matrix,
)
from neuroattn.features.blur_schemas import BlurConfig, BlurKind, FoveaCentre
from neuroattn.features.registry import ArraysSourceConfig
from neuroattn.features.store import FeatureStore

CPU = torch.device("cpu")
SIDE = 96
KINDS = [(BlurKind.uniform, [2.0, 8.0, 20.0]), (BlurKind.lowres, [2.0, 4.0, 16.0]),
         (BlurKind.fovea, [2.0, 8.0, 20.0])]  # fmt: skip


def noise(count: int = 2, side: int = SIDE) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def detail(pixels: torch.Tensor) -> float:
    """Energy at the finer half of the frequencies."""
    power = torch.fft.rfft2(pixels).abs().square()
    rows = torch.fft.fftfreq(pixels.shape[-1]).abs()[:, None]
    columns = torch.fft.rfftfreq(pixels.shape[-1])[None, :]
    return float(power[..., torch.hypot(rows, columns) > 0.25].sum())


@pytest.mark.parametrize(("kind", "strengths"), KINDS)
def test_each_level_has_less_detail_than_the_one_before(kind: BlurKind, strengths: Any) -> None:
    blur = Blur(BlurConfig(kind=kind, levels=strengths), SIDE, CPU)
    found = [detail(blur(noise(), number)) for number in range(4)]
    assert all(low < high for high, low in pairwise(found))


@pytest.mark.parametrize(("kind", "strengths"), KINDS)
def test_a_plain_picture_stays_as_it_is(kind: BlurKind, strengths: Any) -> None:
    plain = torch.full((1, 3, SIDE, SIDE), 0.3)
    blur = Blur(BlurConfig(kind=kind, levels=strengths), SIDE, CPU)
    for number in range(4):
        assert torch.allclose(blur(plain, number), plain, atol=1e-6)


def test_level_0_is_the_very_picture() -> None:
    pixels = noise()
    assert Blur(BlurConfig(levels=[8.0]), SIDE, CPU)(pixels, 0) is pixels


def test_the_gaussian_is_that_of_scipy_with_mirrored_borders() -> None:
    rows = noise(1)[0, 0].double().numpy()
    one = gaussian_matrix(SIDE, 4.0).numpy()
    reach = int(np.count_nonzero(one[SIDE // 2])) // 2
    wanted = ndimage.gaussian_filter(rows, 4.0, mode="mirror", radius=reach)
    assert np.allclose(one @ rows @ one.T, wanted, atol=1e-12)


def test_deviations_of_the_kernels_of_public_code() -> None:
    assert deviation_of(51) == pytest.approx(8.0)
    assert np.count_nonzero(gaussian_matrix(224, 8.0)[112].numpy()) == 51
    assert deviation_of(45) == pytest.approx(7.1)


def test_a_lower_resolution_is_means_of_cells_drawn_again() -> None:
    one = lowres_matrix(8, 2.0)
    line = torch.arange(8.0).double()
    assert torch.allclose((one @ line)[1:7], line[1:7])  # linear in between
    assert torch.allclose(one.sum(1), torch.ones(8).double())


def test_the_fovea_is_sharpest_at_the_centre_and_falls_outwards() -> None:
    weight = fovea_weight(101, 1.0, 3.0)
    assert weight[50, 50] == weight.max() == 1.0
    assert bool((weight[50, 50:].diff() < 0).all())
    assert bool((weight.diagonal()[50:].diff() < 0).all())
    assert weight[0, 0] == pytest.approx(np.exp(-3))


def test_the_centre_is_the_paper_s_and_the_released_code_s_is_an_option() -> None:
    pixels, middle = noise(1, 101), (..., 50, 50)
    paper = Blur(BlurConfig(levels=[8.0]), 101, CPU)(pixels, 1)
    assert torch.allclose(paper[middle], pixels[middle])
    config = BlurConfig(levels=[8.0], centre=FoveaCentre.released)
    gaussian = Blur(BlurConfig(kind=BlurKind.uniform, levels=[8.0]), 101, CPU)(pixels, 1)
    half = Blur(config, 101, CPU)(pixels, 1)
    assert torch.allclose(half[middle], (pixels[middle] + gaussian[middle]) / 2, atol=1e-6)


def test_every_parameter_is_in_the_key() -> None:
    configs = [
        BlurConfig(levels=[8.0]),
        BlurConfig(levels=[8.0000001]),
        BlurConfig(levels=[8.0], decay=2.0),
        BlurConfig(levels=[8.0], centre=FoveaCentre.released),
        BlurConfig(levels=[8.0], kind=BlurKind.uniform),
        BlurConfig(levels=[8.0], kind=BlurKind.lowres),
    ]
    assert len({levels(config)[1].key for config in configs}) == len(configs)


@pytest.mark.parametrize("kernels", [(45, 45, 51), (51, 51, 51)])
def test_levels_as_the_released_code_made_them_are_refused(kernels: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="levels is out of range"):
        BlurConfig(levels=[deviation_of(kernel) for kernel in kernels])


@pytest.mark.parametrize("strengths", [[0.0], [-1.0], [3.0, 2.0]])
def test_levels_ascend_from_the_original(strengths: list[float]) -> None:
    with pytest.raises(ConfigError):
        BlurConfig(levels=strengths)


@pytest.mark.parametrize(
    ("kind", "strengths"),
    [
        (BlurKind.uniform, [1e-3]),
        (BlurKind.uniform, [8.0, 8.00001]),
        (BlurKind.lowres, [1.0]),
        (BlurKind.lowres, [4.0, 4.01]),
    ],
)
def test_levels_that_coincide_as_pictures_are_refused(kind: BlurKind, strengths: Any) -> None:
    with pytest.raises(ConfigError, match="same pictures") as caught:
        Blur(BlurConfig(kind=kind, levels=strengths), 64, CPU)
    assert f"{strengths[-1]:g}" in str(caught.value)


def test_what_reads_no_picture_has_none_to_blur() -> None:
    with pytest.raises(ConfigError, match="none to blur"):
        ArraysSourceConfig(blur=BlurConfig(levels=[8.0]))


# --- in the stage


def test_the_bank_holds_each_level_and_the_originals_bit_for_bit(study: Any, lite: Any) -> None:
    plain = FeatureStore(study.fill(9).features("plain"))
    blur = BlurConfig(kind=BlurKind.uniform, levels=[4.0, 16.0])
    bank = FeatureStore(study.features("bank", blur=blur))
    assert bank.layers == plain.layers == ["stem", "blocks.1"]
    assert list(bank.levels) == [0.0, 4.0, 16.0]
    assert list(plain.levels) == [0.0]
    for layer in plain.layers:
        original = plain.read(layer)
        assert np.array_equal(bank.read(layer), original)
        found = [bank.read(layer, strength=strength) for strength in bank.levels]
        assert not np.array_equal(found[1], found[0])
        assert not np.array_equal(found[2], found[1])
    with pytest.raises(ConfigError, match="no blur level 5"):
        bank.read("stem", strength=5.0)


def test_pictures_are_decoded_once_for_all_levels(
    study: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    stimuli = study.fill(9).stimuli
    honest = stimuli.read_with_digest
    monkeypatch.setattr(
        stimuli, "read_with_digest", lambda image: reads.append(image) or honest(image)
    )
    blur = BlurConfig(levels=[4.0, 8.0, 16.0])
    result, out = study.run("bank", stimuli=stimuli, blur=blur)
    assert len(reads) == 9
    assert result.metrics["levels"] == 4.0
    assert "foveated" in result.methods
    assert (out.folder / "stem@fovea-s4.0-c1.0-d3.0.npy").is_file()
