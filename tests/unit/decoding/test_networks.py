"""Networks from regions, files and groups, and parcels that cover all targets."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from neuroattn.core.errors import ConfigError, DataError, MissingDataError
from neuroattn.decoding.ablation_schemas import AblationConfig, Networks, atlas_files
from neuroattn.decoding.networks import networks_of, parcels_of

TARGETS = pd.DataFrame(
    {
        "target": np.arange(12) + 3,
        "subject": "subj01",
        "hemisphere": ["lh"] * 6 + ["rh"] * 6,
        "vertex": pd.array(np.tile(np.arange(6) * 10, 2), dtype="Int64"),
        "rois": ["V1"] * 3 + ["V1|early"] * 3 + ["FFA"] * 4 + ["", None],
    }
)
NOTHING = SimpleNamespace(has=lambda _: False, folder=Path("prepare"))


def config(**keys: object) -> AblationConfig:
    return AblationConfig(**{"least": 1} | keys)  # type: ignore[arg-type]


def test_regions_are_networks_and_may_overlap() -> None:
    found = networks_of(config(), TARGETS, NOTHING)  # type: ignore[arg-type]
    assert {name: len(rows) for name, rows in found.items()} == {"FFA": 4, "V1": 6, "early": 3}
    assert list(networks_of(config(least=4), TARGETS, NOTHING)) == ["FFA", "V1"]  # type: ignore[arg-type]


def test_groups_join_regions() -> None:
    given = config(groups={"visual": ["V1", "FFA"], "early": ["early"]})
    found = networks_of(given, TARGETS, NOTHING)  # type: ignore[arg-type]
    assert found["visual"].tolist() == list(range(10))
    with pytest.raises(ConfigError, match="no region V9"):
        networks_of(config(groups={"x": ["V9"]}), TARGETS, NOTHING)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no network"):
        networks_of(config(least=50), TARGETS, NOTHING)  # type: ignore[arg-type]


def test_a_table_names_targets_by_their_number(tmp_path: Path) -> None:
    path = tmp_path / "yeo.tsv"
    rows = ["target\tnetwork", *(f"{n}\t{'DMN' if n % 2 else 'n/a'}" for n in range(20))]
    path.write_text("\n".join(rows) + "\n")
    given = config(networks=Networks.atlas, atlas=[str(path)])
    found = networks_of(given, TARGETS, NOTHING)  # type: ignore[arg-type]
    assert found["DMN"].tolist() == [0, 2, 4, 6, 8, 10]
    path.write_text("target\tnetwork\n3\tDMN\n")
    with pytest.raises(DataError, match="does not belong"):
        networks_of(given, TARGETS, NOTHING)  # type: ignore[arg-type]
    path.write_text("vertex\tnetwork\n3\tDMN\n")
    with pytest.raises(DataError, match="no table of networks"):
        networks_of(given, TARGETS, NOTHING)  # type: ignore[arg-type]


def surface_labels(folder: Path, vertices: int = 51) -> list[str]:
    """``.annot`` of the left and ``.label.gii`` of the right hemisphere; vertex 20 on is B."""
    labels = (np.arange(vertices) >= 20).astype(np.int32)
    table = np.array([[25, 5, 25, 0, 0], [9, 9, 9, 0, 0]], dtype=np.int32)
    left = folder / "lh.networks.annot"
    nib.freesurfer.write_annot(left, labels, table, ["A", "B"], fill_ctab=True)
    image = nib.gifti.GiftiImage()
    for key, name in enumerate(("???", "A", "B")):
        entry = nib.gifti.GiftiLabel(key=key, red=0.1 * key, green=0, blue=0, alpha=1)
        entry.label = name
        image.labeltable.labels.append(entry)
    image.add_gifti_data_array(
        nib.gifti.GiftiDataArray(labels + 1, intent="NIFTI_INTENT_LABEL", datatype="int32")
    )
    right = folder / "networks.hemi-R.label.gii"
    nib.save(image, right)
    return [str(left), str(right)]


def test_labels_of_a_surface_go_by_hemisphere_and_vertex(tmp_path: Path) -> None:
    given = config(networks=Networks.atlas, atlas=surface_labels(tmp_path))
    found = networks_of(given, TARGETS, NOTHING)  # type: ignore[arg-type]
    assert found["A"].tolist() == [0, 1, 6, 7]
    assert found["B"].tolist() == [2, 3, 4, 5, 8, 9, 10, 11]


def test_labels_of_another_surface_are_refused(tmp_path: Path) -> None:
    given = config(networks=Networks.atlas, atlas=surface_labels(tmp_path, 30))
    with pytest.raises(DataError, match="not of the surface"):
        networks_of(given, TARGETS, NOTHING)  # type: ignore[arg-type]
    (tmp_path / "lh.bad.annot").write_bytes(b"")
    broken = config(networks=Networks.atlas, atlas=[str(tmp_path / "lh.bad.annot")])
    with pytest.raises(DataError, match="cannot be read"):
        networks_of(broken, TARGETS, NOTHING)  # type: ignore[arg-type]


def test_an_atlas_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match="atlas"):
        config(networks=Networks.atlas)
    root = SimpleNamespace(ablation=config(atlas=["/nowhere/index_yeo7.tsv"]))
    with pytest.raises(MissingDataError, match="index_yeo7"):
        atlas_files(root)
    with pytest.raises(MissingDataError, match="no planted networks"):
        networks_of(config(networks=Networks.planted), TARGETS, NOTHING)  # type: ignore[arg-type]


@pytest.mark.parametrize("surface", [True, False])
def test_parcels_cover_every_target_once(surface: bool) -> None:
    rng = np.random.default_rng(0)
    responses = rng.normal(size=(30, 12)).astype(np.float32)
    parcels = parcels_of(TARGETS, responses, 3, rng, surface)
    assert sorted(np.concatenate(parcels).tolist()) == list(range(12))
    assert len(parcels) == 6
    for parcel in parcels:
        assert len(set(TARGETS["hemisphere"].iloc[parcel])) == 1
