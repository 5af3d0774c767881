"""The page of the embedded models: with all of them at a tiny size, with some, and with none."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from neuroattn.cli.compose import compose
from neuroattn.core.artefact import Artefact
from neuroattn.generators.loading import load
from neuroattn.generators.registry import MODELS
from neuroattn.generators.scenes import to_unit
from neuroattn.generators.showcase import COLUMNS, nearest
from neuroattn.pipeline.build import run_stage
from neuroattn.reports.blocks import Card, Cards, Details, Notice, Picture, Table
from neuroattn.reports.sections import showcase
from neuroattn.reports.sources import Sources


@pytest.fixture(scope="module")
def root_config():
    words = ("showcase.scenes=3", "showcase.nearest=10", "showcase.steps=2", "runtime.threads=1")
    return compose([*words, "stage=showcase"])


def _made(config, folder: Path, root: Path) -> Artefact:
    config.showcase.folder, config.paths.root = str(folder), str(root)
    return run_stage("showcase", config)


def test_all_models_are_shown_on_held_out_scenes(root_config, models: Path, tmp_path: Path) -> None:
    made = _made(root_config, models, tmp_path)
    table = made.table("samples.tsv")
    assert tuple(table.columns) == COLUMNS
    found = ["real_found", "remade_found", "sample_found"]  # may be nothing
    assert table[list(COLUMNS)].drop(columns=found).notna().all(axis=None)
    assert (made.table("models.tsv")["state"] == "there").all()
    assert (made.table("models.tsv")["limits"].str.len() > 20).all()
    drawn = [np.asarray(Image.open(made.path(file))) for file in table["sample"]]
    assert {picture.shape for picture in drawn} == {(64, 64, 3)}
    assert (table["real_distance"] > 0).all(), "a held-out scene is no training scene"
    page = showcase.blocks(Sources({"showcase": made}))
    (grid,) = [block for block in page if isinstance(block, Picture)]
    assert "held-out scenes, autoencoded, drawn, nearest training" in grid.alt
    real, remade = (
        np.stack([np.asarray(Image.open(made.path(file))) for file in table[kind]])
        for kind in ("real", "remade")
    )
    vae = load(models / "autoencoder")
    with torch.no_grad():
        again = vae(2 * to_unit(real) - 1, sample_posterior=False).sample
    wanted = (255 * (again / 2 + 0.5).clamp(0, 1)).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(remade, wanted, atol=1)
    assert not [block for block in page if isinstance(block, Notice)]
    folded = [block for block in page if isinstance(block, Details)]
    assert len(folded) == sum(
        bool(len(rows)) for _, rows in made.table("scores.tsv").groupby("model")
    )


def test_a_missing_model_is_named_and_no_error(root_config, models: Path, tmp_path: Path) -> None:
    some = tmp_path / "some"
    shutil.copytree(models / "referee", some / "referee")
    made = _made(root_config, some, tmp_path)
    table = made.table("samples.tsv")
    assert table["sample"].isna().all()
    assert table["real_caption"].isna().all()
    assert table["real"].notna().all()
    assert made.metrics["models"] == 1
    page = showcase.blocks(Sources({"showcase": made}))
    (notice,) = [block for block in page if isinstance(block, Notice)]
    assert "generator" in str(notice)
    assert "python -m neuroattn.generators build space" in str(notice)
    said = next(block for block in page if isinstance(block, Table))
    assert [column.title for column in said.columns][-1] == "Referee finds"


def test_without_any_model_scenes_stand_alone(root_config, tmp_path: Path) -> None:
    made = _made(root_config, tmp_path / "nothing", tmp_path)
    (cards,) = [
        block for block in showcase.blocks(Sources({"showcase": made})) if isinstance(block, Cards)
    ]
    assert cards.cards[0] == Card("Models", "0", f"of {len(MODELS)}", headline=True)


def test_the_nearest_scene_is_found_and_a_copy_has_distance_0() -> None:
    known = np.random.default_rng(0).integers(0, 255, (5, 8, 8, 3), dtype=np.uint8)
    shift = torch.tensor([0.0, 0.05])[:, None, None, None]
    distance, which = nearest(to_unit(known[[3, 1]]) + shift, known)
    assert which.tolist() == [3, 1]
    assert distance[0] < 1e-3
    assert distance[1] == pytest.approx(0.05, rel=1e-2)
