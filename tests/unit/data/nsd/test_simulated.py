"""What a simulation adds, and that nothing of it is read from a real copy."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from neuroattn.core.errors import LeakError
from neuroattn.data.nsd import layout
from neuroattn.data.nsd.reader import NsdDataset
from neuroattn.data.registry import NsdConfig
from tests.nsd_files import Nsd


def _write(nsd: Nsd) -> list[int]:
    shown = sorted(set(nsd.shown().tolist()))
    folder = layout.truth(nsd.root, "images.tsv").parent
    folder.mkdir()
    lines = [f"{image}\t{place}" for place, image in enumerate(shown)]
    (folder / "images.tsv").write_text("image\tscene\n" + "\n".join(lines) + "\n")
    scenes = "".join(f"{place}\tplace/{place % 3}\n" for place in range(len(shown)))
    (folder / "scenes.tsv").write_text("scene\tsource\n" + scenes)
    things = "0\tface/1\n0\tword/a\n0\tface/1\n2\tn/a\n"
    (folder / "things.tsv").write_text("scene\texemplar\n" + things)
    sides = {"train": shown[2:], "test": shown[:2]}
    (folder / "splits.json").write_text(json.dumps({"unseen_exemplars": sides, "shared": sides}))
    return shown


def test_sources_and_splits_of_a_simulation(small: Callable[..., Nsd]) -> None:
    nsd = small()
    shown = _write(nsd)
    config = NsdConfig(root=str(nsd.root), rois=["prf-visualrois"])
    real = NsdDataset(config)
    assert "exemplars" not in real.splits
    assert real.images["source"].str.startswith("coco/").all()
    assert not any("truth" in name for name in real.files.all())
    layout.simulated(nsd.root).write_text("{}")
    dataset = NsdDataset(config)
    assert dataset.splits["exemplars"] == {"train": shown[2:], "test": shown[:2]}
    assert {"shared", "shared1000"} <= set(dataset.splits)
    assert dataset.images["source"].tolist()[:3] == ["place/0|face/1|word/a", "place/1", "place/2"]
    assert {"truth/splits.json", "truth/things.tsv"} <= set(dataset.files.all())


def test_a_leak_in_the_simulation(small: Callable[..., Nsd]) -> None:
    nsd = small()
    shown = _write(nsd)
    layout.simulated(nsd.root).write_text("{}")
    leak = {"exemplars": {"train": shown, "test": shown[:1]}}
    layout.truth(nsd.root, "splits.json").write_text(json.dumps(leak))
    with pytest.raises(LeakError):
        NsdDataset(NsdConfig(root=str(nsd.root), rois=["prf-visualrois"]))
