"""A blur prior on simulated EEG, from files to retrieval: gain where detail is missing alone.

`test_blur_prior` has embeddings made to measure. Here pictures are drawn, the network that ships
reads them at every blur, and epochs come from files in the form of THINGS-EEG2: once without
anything of what is fine in the pictures (planted), once with all of it (matched). At a strength of
5.5 the 64 pixels have a deviation of 1.6: of gratings of 8 and 10 cycles in 32 pixels 0.05 and
0.01 are left in contrast, of 2 and 3 cycles 0.83 and 0.65.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from neuroattn.core.artefact import Artefact
from neuroattn.data.simulate.things import Design, simulate_things
from neuroattn.reports.decoders import comparable, differences, variants_of
from neuroattn.stats.retrieval_paired import Paired, Statistic
from tests.chain import neuroattn

Gain = Callable[[bool, str], Paired]

DECODER = (
    "backbone=efficientnet_lite0", "backbone.image_size=64", "backbone.layers=[blocks.4]",
    "backbone.pool=2", "backbone.blur.kind=uniform", "backbone.blur.levels=[4.0,5.5,7.0]",
    "decoder=eeg_project", "decoder.target.pool=tokens", "decoder.training.optimiser.lr=1e-3",
    "decoder.training.batch_size=128", "decoder.training.epochs=30",
    "decoder.evaluation.permutations=99", "decoder.evaluation.bootstraps=200",
    "runtime.threads=1", "runtime.workers=1",
)  # fmt: skip
PRIORS = {"none": (), "uniform": ("prior.strength=5.5",), "ubp": ()}


@pytest.fixture(scope="module")
def gain(tmp_path_factory: pytest.TempPathFactory) -> Gain:
    """Top 1 of 200 with a prior less that without, paired over test pictures."""
    root = tmp_path_factory.mktemp("blur")

    @cache
    def decoded(mismatch: bool, prior: str) -> Artefact:
        design = Design(subjects=1, concepts=60, test=200, mismatch=mismatch)
        data = simulate_things(root / f"mismatch-{mismatch}", design)
        where = (f"dataset.root={data}", f"paths.root={root / 'runs'}", f"prior={prior}")
        ran = neuroattn("decode", "dataset=things_eeg2", *where, *DECODER, *PRIORS[prior])
        assert ran.code == 0, ran.err
        return Artefact(Path(ran.path))

    def paired(mismatch: bool, prior: str) -> Paired:
        first, second = variants_of([decoded(mismatch, prior), decoded(mismatch, "none")])
        subjects, _ = comparable(first, second)
        found = {key: one for key, _, one in differences(first, second, subjects, [Statistic(1)])}
        print(f"mismatch {mismatch}, prior {prior}:", *found.items(), sep="\n  ")
        return found["raw", "image_from_brain"]

    return paired


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("prior", ["uniform", "ubp"])
def test_a_prior_gains_where_the_epochs_lack_the_detail(gain: Gain, prior: str) -> None:
    found = gain(True, prior)
    assert found.low > 0.1, found


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("prior", ["uniform", "ubp"])
def test_a_prior_gains_nothing_where_the_epochs_hold_the_detail(gain: Gain, prior: str) -> None:
    found = gain(False, prior)
    assert found.second > 0.5, "what is to be lost is there"
    assert found.high < 0, found
