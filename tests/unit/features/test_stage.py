from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from neuroattn.core.artefact import ArtefactWriter
from neuroattn.core.errors import DataError, MissingDataError
from neuroattn.core.sections import RuntimeConfig
from neuroattn.data.stimuli import PictureFiles
from neuroattn.features import backbones
from neuroattn.features.images import fit_picture
from neuroattn.features.stage import fixed_groups, groups_at_once, unit_pixels
from neuroattn.features.store import FeatureStore

CPU = torch.device("cpu")
COUNT = 21  # two groups of eight and one of five


def _payload(out: ArtefactWriter) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.folder.iterdir() if path.is_file()}


class _Failing(PictureFiles):
    """Pictures of which one cannot be read, as when a run is killed on it."""

    def __init__(self, inner: PictureFiles, bad: int | None = None) -> None:
        super().__init__(inner.files, inner.root)
        self.bad, self.reads = bad, []

    def read(self, image: int) -> Any:
        raise AssertionError("a picture is read once, together with its digest")

    def read_with_digest(self, image: int) -> Any:
        if image == self.bad:
            raise KeyboardInterrupt
        self.reads.append(image)
        return super().read_with_digest(image)


def test_the_store_holds_what_the_network_says(study: Any, lite: Any) -> None:
    store = FeatureStore(study.fill(5).features())
    assert store.layers == ["stem", "blocks.1"]
    assert store.images.tolist() == [3, 6, 9, 12, 15]
    assert store.shape("blocks.1") == (5, 16, 24)
    backbone = lite("stem", "blocks.1", side=32, pool=4)
    picture = fit_picture(study.stimuli.read(9), 32)
    tokens = backbone.tokens(unit_pixels(picture[None], CPU))
    for layer, values in tokens.items():
        found = store.read(layer, [9])
        assert np.allclose(found, values.numpy(), atol=2e-2, rtol=2e-3)


def test_the_result_says_what_was_done(study: Any) -> None:
    result, out = study.fill(3).run()
    sizes = sum(path.stat().st_size for path in out.folder.glob("*.npy"))
    assert result.metrics == {"images": 3.0, "layers": 2.0, "bytes": float(sizes)}
    for word in ("EfficientNet-Lite0", "blocks.1", "32 x 32", "squashed", "half precision"):
        assert word in result.methods
    stores = {f"{layer}{end}" for layer in ("stem", "blocks.1") for end in (".npy", ".rows.npy")}
    assert set(_payload(out)) == {"images.tsv", "layers.json"} | stores


def test_every_call_of_the_network_has_the_same_size(
    study: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    honest = backbones.fit_pixels
    monkeypatch.setattr(
        backbones, "fit_pixels", lambda pixels, *a: sizes.append(len(pixels)) or honest(pixels, *a)
    )
    study.fill(COUNT).run()
    assert sizes == [8, 8, 8]


def test_threads_change_no_byte(study: Any) -> None:
    study.fill(COUNT)
    one, many = (_payload(study.run(f"f{n}", threads=n)[1]) for n in (1, 3))
    assert one == many


@pytest.mark.parametrize("bad", [27, 51, 63])
def test_a_killed_run_resumes_to_the_same_bytes(study: Any, bad: int) -> None:
    study.fill(COUNT)
    whole = _payload(study.run("whole")[1])
    with pytest.raises(KeyboardInterrupt):
        study.run("killed", stimuli=_Failing(study.stimuli, bad))
    again = _Failing(study.stimuli)
    assert _payload(study.run("killed", stimuli=again)[1]) == whole
    begun = (bad // 3 - 1) // 8 * 8  # rows before the group on which it was killed are kept
    assert sorted(again.reads) == [3 * row + 3 for row in range(begun, COUNT)]


def test_a_run_killed_while_adopting_computes_nothing_again(
    study: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.fill(COUNT)
    whole = _payload(study.run("whole")[1])
    adopt = ArtefactWriter.adopt

    def killed(self: ArtefactWriter, source: Path, name: str) -> None:
        if name == "blocks.1.npy":
            raise KeyboardInterrupt
        adopt(self, source, name)

    with monkeypatch.context() as patch:
        patch.setattr(ArtefactWriter, "adopt", killed)
        with pytest.raises(KeyboardInterrupt):
            study.run("killed")
    again = _Failing(study.stimuli)
    assert _payload(study.run("killed", stimuli=again)[1]) == whole
    assert again.reads == []


def test_a_picture_that_changed_is_refused(study: Any) -> None:
    study.fill(3)
    parent = study.prepare()
    Image.new("RGB", (40, 40)).save(study.pictures / "00006.png")
    with pytest.raises(DataError, match=r"image 6(.|\n)*images/00006\.png(.|\n)*prepare again"):
        study.run(parent=parent)


def test_a_cut_picture_is_named(study: Any) -> None:
    study.fill(2)
    path = study.pictures / "00004.jpg"
    Image.effect_noise((64, 64), 90).convert("RGB").save(path)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(DataError, match=r"00004\.jpg"):
        study.run()


def test_a_picture_that_is_gone_is_named(study: Any) -> None:
    study.fill(3)
    parent, stimuli = study.prepare(), study.stimuli
    (study.pictures / "00009.png").unlink()
    with pytest.raises((MissingDataError, FileNotFoundError), match=r"00009\.png"):
        study.run(parent=parent, stimuli=stimuli)


def test_one_picture_in_any_mode_has_one_row(study: Any) -> None:
    values = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    grey = Image.fromarray(values)
    transparent = np.dstack([values] * 3 + [np.zeros_like(values)])
    forms = {
        1: grey.convert("RGB"),
        2: grey,
        3: grey.convert("P"),
        4: grey.convert("RGBA"),
        5: Image.fromarray(values.astype(np.uint16) * 257),
        6: Image.fromarray(transparent),
        7: Image.new("RGB", (40, 40), (127, 127, 127)),
    }
    for image, picture in forms.items():
        picture.save(study.pictures / f"{image:05d}.png")
    tokens = FeatureStore(study.features()).read("blocks.1", list(forms))
    # Rows stand at different places of one group, so their last bits may differ.
    for row in range(1, 5):
        assert np.allclose(tokens[row], tokens[0], atol=1e-2)
    assert np.allclose(tokens[5], tokens[6], atol=1e-2)
    assert not np.allclose(tokens[6], tokens[0], atol=1e-1)


def test_a_feature_beyond_half_precision_stops_the_run(
    study: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = backbones.map_tokens
    monkeypatch.setattr(backbones, "map_tokens", lambda maps, pool: 1e6 * honest(maps, pool))
    with pytest.raises(DataError, match=r"blocks\.1(.|\n)*image 3"):
        study.fill(1).run(layers=["blocks.1"])


def test_the_number_of_threads_is_given_back(study: Any) -> None:
    before = torch.get_num_threads()
    study.fill(1).run()
    assert torch.get_num_threads() == before


def test_groups_depend_on_nothing_but_the_count() -> None:
    assert fixed_groups(5, 2) == [range(2), range(2, 4), range(4, 5)]
    assert fixed_groups(0, 2) == []


def test_as_many_groups_as_threads_within_bounds() -> None:
    assert groups_at_once(RuntimeConfig(threads=3), CPU, 8) == 3
    assert groups_at_once(RuntimeConfig(), CPU, 8) == 8
    assert groups_at_once(RuntimeConfig(), CPU, 500) == 16
    assert groups_at_once(RuntimeConfig(workers=0), torch.device("cuda"), 8) == 1
