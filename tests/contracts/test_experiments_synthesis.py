"""The experiments on guided pictures: as published, and run small with random models."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from neuroattn.cli.compose import compose
from neuroattn.core.artefact import Artefact
from neuroattn.pipeline.published import experiments, told
from neuroattn.synthesis.wishes import parse
from tests import nsd_copy
from tests.chain import neuroattn
from tests.contracts.test_experiments_captions import describe, tiny_clip

SCALES = {
    "braindive_categories": 130.0, "braindive_ofa_ffa": 130.0, "braindive_clusters": 130.0,
    "in_silico_parcels": 200.0,
}  # fmt: skip
LOCALISED = {
    "floc-faces": ["OFA", "FFA-1", "FFA-2"],
    "floc-bodies": ["EBA", "FBA-1", "FBA-2"],
    "floc-places": ["OPA", "PPA", "RSC"],
    "floc-words": ["OWFA", "VWFA-1", "VWFA-2"],
}
GUIDED = [name for name, file in experiments().items() if "override /guidance" in file.read_text()]


@pytest.mark.parametrize("name", SCALES)
def test_settings_are_the_published_ones(name: str) -> None:
    config = compose([f"experiment={name}"])
    assert config.published.stage == "synthesize"
    assert (config.generator.name, config.guidance.name) == ("sd21_base", "braindive")
    guidance = config.guidance
    assert (guidance.steps, guidance.scale, guidance.attention) == (50, SCALES[name], 0.75)
    assert guidance.gradient.value == "raw"
    assert config.synthesis.text is None, "driven by the empty prompt"


@pytest.mark.parametrize("name", [*SCALES, "simulated_synthesis"])
def test_expected_figures_are_of_the_objectives_asked_for(name: str) -> None:
    config = compose([f"experiment={name}"])
    slugs = {parse(text).slug.lower() for text in config.synthesis.objectives}
    figures = [row["figure"].split(".") for row in told(name)["expected"]]
    assert {one[1] for one in figures if one[0] == "objective"} <= slugs


@pytest.mark.parametrize("method", ["none", "best_of_n", "x0", "braindive"])
def test_the_simulated_experiment_takes_the_methods_it_is_compared_with(method: str) -> None:
    config = compose(["experiment=simulated_synthesis", f"guidance={method}"])
    assert (config.guidance.name, config.guidance.sampler) == (method, "dpm")


@pytest.mark.parametrize("name", GUIDED)
def test_every_guided_experiment_takes_the_method_that_ships(name: str) -> None:
    assert compose([f"experiment={name}", "guidance=windowed"]).guidance.name == "windowed"


@pytest.mark.parametrize("name", GUIDED)
def test_a_cheaper_way_that_an_experiment_names_composes(name: str) -> None:
    words = re.findall(r"(?:guidance|generator)(?:\.\w+)?=\w+", told(name)["cost"])
    assert words or name != "braindive_categories", "it says what other guidance costs"
    compose([f"experiment={name}", *words])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small NSD with localisers, and random models in the forms that are asked for."""
    import transformers

    from tests.unit.generators.families.pipelines import stable_diffusion

    root: Path = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nsd_copy, "COLLECTIONS", nsd_copy.COLLECTIONS | LOCALISED)
        nsd_copy.write_copy(root / "nsd")
    describe(root / "nsd")
    tiny_clip(root / "space")
    stable_diffusion(root / "generator")
    vit = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=12, num_attention_heads=2, patch_size=8, image_size=32,
        mlp_ratio=1,
    )  # fmt: skip
    transformers.Dinov2Model(vit).save_pretrained(root / "dinov2_base")
    return root


def smaller(name: str, root: Path) -> list[str]:
    """Overrides that make a shipped experiment small; objectives stay as published."""
    words = [
        f"paths.root={root}/root", f"dataset.root={root}/nsd", f"generator.model={root}/generator",
        "generator.precision=fp32", "backbone.image_size=32", "runtime.threads=1",
        "runtime.workers=1", "scoring.permutations=20", "scoring.bootstraps=20",
        "guidance.steps=2", "synthesis.images=4", "synthesis.chunk=4",
        "synthesis.evaluation.reference=8", "synthesis.evaluation.real=1",
        "synthesis.evaluation.draws=100",
    ]  # fmt: skip
    if name == "in_silico_parcels":
        own = (f"backbone.model={root}/dinov2_base", "backbone.untrained=true",
               "encoder.parcels=4", "encoder.training.epochs=1")  # fmt: skip
        return [*words, *own]
    return [*words, f"backbone.model={root}/space", f"synthesis.evaluation.space={root}/space"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SCALES)
def test_they_run_at_smoke_size(name: str, small: Path) -> None:
    ran = neuroattn("reproduce", name, *smaller(name, small))
    assert ran.code == 0, ran.err
    result = json.loads(ran.path.read_text())
    assert [row["figure"] for row in result["figures"]] == [
        row["figure"] for row in told(name)["expected"]
    ]
    assert None not in [row["found"] for row in result["figures"]]
    short = result["artefacts"][-1]["fingerprint"][:8]
    made = Artefact(next((small / "root" / "synthesize").glob(f"*-{short}")))
    objectives = compose([f"experiment={name}"]).synthesis.objectives
    table = made.table("images.tsv")
    assert set(table["objective"]) == set(objectives)
    assert (table["status"] == "done").all()
    assert (made.table("gains.tsv")["measure"] == "guide").any()
