from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from neuroattn.core.stage import Failure
from neuroattn.reports.blocks import Cards, Details, FactList, Notice, Picture, Prose, Table
from neuroattn.reports.registry import ReportConfig
from neuroattn.reports.sections import about, data, errors, methods, predictions, scores, summary
from neuroattn.reports.sources import Sources
from tests.unit.reports.fabricate import METHODS, Chain

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def sources(made: Chain) -> Sources:
    return Sources(made.parents)


def of(kind, blocks) -> list:
    return [block for block in blocks if isinstance(block, kind)]


def with_table(sources: Sources, **tables: pd.DataFrame) -> Sources:
    """The sources with some tables replaced, as if read from other artefacts."""
    changed = replace(sources)
    for name, table in tables.items():
        changed.__dict__[name] = table
    return changed


def test_errors_show_problem_remedy_and_log() -> None:
    problem = "a file is missing\n  file: a/b.h5\n  fix: neuroattn data verify"
    failure = Failure("encode", "ridge-1", problem, "outputs/log.txt")
    (notice,) = errors.blocks(Sources({}, {"encode": failure}))
    assert notice.level == "error"
    assert notice.title == "Failed: encode (ridge-1)"
    assert notice.text == "a file is missing"
    assert notice.facts == (
        ("file", "a/b.h5"), ("fix", "neuroattn data verify"), ("log", "outputs/log.txt"),
    )  # fmt: skip


def test_one_problem_that_stops_two_stages_is_shown_once() -> None:
    failures = {
        name: Failure(name, "x-1", "ValueError: odd: shape", "") for name in ("features", "encode")
    }
    (notice,) = errors.blocks(Sources({}, failures))
    assert notice.title == "Failed: features (x-1), encode (x-1)"
    assert (notice.text, notice.facts) == ("ValueError: odd: shape", ())


def test_no_failure_no_section(sources: Sources) -> None:
    assert errors.blocks(sources) == ()


def test_summary_cards_are_the_headline_numbers(sources: Sources) -> None:
    (cards,) = of(Cards, summary.blocks(sources))
    shown = {card.label: (card.value, card.note) for card in cards.cards}
    r = sources.scores["r"]
    best = sources.scores["target"][r.idxmax()]
    assert shown["Mean r"] == (f"{r.mean():.3f}", "24 targets, 3 folds")
    assert shown["Median r"][0] == f"{r.median():.3f}"
    assert shown["Best target r"] == (f"{r.max():.3f}", f"target {best}")
    assert shown["Images"] == ("60", "distinct")
    assert shown["Trials"][0] == "180"
    assert [card.label for card in cards.cards if card.headline] == ["Mean r"]


def test_summary_says_what_it_is_about(sources: Sources) -> None:
    (facts,) = of(FactList, summary.blocks(sources))
    rows = dict(facts.stated)
    assert rows["Subjects"] == "subj01"
    assert rows["Units of responses"] == "% signal change"
    assert rows["Readout"] == "ridge"
    assert rows["Split"] == "3 folds over images, 20 test images in each"


def test_summary_of_nothing_is_empty() -> None:
    assert summary.blocks(Sources({})) == ()


def test_summary_of_undefined_scores_invents_none(sources: Sources) -> None:
    undefined = with_table(sources, scores=sources.scores.assign(r=np.nan, r_pooled=np.nan))
    (cards,) = of(Cards, summary.blocks(undefined))
    shown = {card.label: card.value for card in cards.cards}
    assert shown["Mean r"] == shown["Best target r"] == shown["Pooled r"] == "n/a"


def test_data_states_repeats_folds_and_a_passed_leak_check(sources: Sources) -> None:
    blocks = data.blocks(sources)
    (facts,), (notice,), (table,) = of(FactList, blocks), of(Notice, blocks), of(Table, blocks)
    rows = dict(facts.stated)
    assert rows["Repeats of an image"] == "3\u00d7: 60 images"
    assert rows["Trials"] == "180 in 3 sessions"
    assert rows["Targets"] == "24 (L: 12, R: 12)"
    assert notice.level == "passed"
    assert table.rows[0] == ("0", "40", "120", "20", "60", "0")


def test_a_leak_is_an_error_that_names_images(sources: Sources) -> None:
    folds = sources.folds.copy()
    leak = pd.DataFrame({"fold": [1], "image": [1], "side": ["train"]})  # 1 is tested in fold 1
    leaking = with_table(sources, folds=pd.concat([folds, leak], ignore_index=True))
    (notice,) = of(Notice, data.blocks(leaking))
    assert notice.level == "error"
    assert "1 fold" in notice.title
    assert "not valid" in notice.text
    (table,) = of(Table, data.blocks(leaking))
    assert [row[-1] for row in table.rows] == ["0", "1", "0"]


def test_shared_sources_are_counted(sources: Sources) -> None:
    images = sources.images.assign(source=["cat" if image < 40 else "" for image in range(60)])
    notice = of(Notice, data.blocks(with_table(sources, images=images)))[1]
    assert notice.title == "1 source behind 60 images"
    assert notice.text.startswith("40 of 60 test images")


def test_region_table_has_all_targets_first_then_best_to_worst(sources: Sources) -> None:
    (table,) = of(Table, scores.by_region(sources))
    assert table.emphasis
    assert table.rows[0][:2] == ("all targets", "24")
    means = [float(row[2].replace("\u2212", "-")) for row in table.rows[1:]]
    assert means == sorted(means, reverse=True)
    assert len(table.rows) == 1 + 6 + 1  # all, six regions, and ventral


def test_region_table_shows_scores_over_the_ceiling_where_there_are_some(
    sources: Sources,
) -> None:
    over = sources.scores["r_squared"] / 0.5
    normalised = sources.scores.assign(
        nc=0.5, r_squared_over_nc=over, r_squared_over_nc_capped=over.clip(upper=1), n_images=60
    )
    blocks = scores.by_region(with_table(sources, scores=normalised))
    (table,) = of(Table, blocks)
    titles = [column.title for column in table.columns]
    assert titles[-3:] == ["r\u00b2 / ceiling", "capped at 1", "n with a ceiling"]
    assert table.rows[0][-3:] == (f"{over.mean():.3f}", f"{over.clip(upper=1).mean():.3f}", "24")
    assert "noise ceiling" in of(Prose, blocks)[0].paragraphs[-1]
    assert "ceiling" not in str(scores.by_region(sources))


def test_regions_beyond_the_limit_are_counted(sources: Sources) -> None:
    limited = replace(sources, options=ReportConfig(max_rois=2))
    blocks = scores.by_region(limited)
    assert len(of(Table, blocks)[0].rows) == 3
    assert of(Notice, blocks)[0].title.startswith("5 regions more")


def test_targets_without_regions_are_no_error(sources: Sources) -> None:
    bare = with_table(sources, scores=sources.scores.assign(rois=np.nan))
    blocks = scores.by_region(bare)
    assert [row[0] for row in of(Table, blocks)[0].rows] == ["all targets"]
    assert "No target belongs" in of(Notice, blocks)[0].title


def test_best_and_worst_targets_are_listed(sources: Sources) -> None:
    limited = replace(sources, options=ReportConfig(max_targets_in_table=3))
    best, worst = of(Table, scores.by_target(limited))
    order = sources.scores.sort_values("r", ascending=False)["target"].tolist()
    assert [row[0] for row in best.rows] == order[:3]
    assert [row[0] for row in worst.rows] == order[-3:]


def test_hemispheres_are_a_column_only_where_they_are_known(sources: Sources) -> None:
    titles = [column.title for column in of(Table, scores.by_target(sources))[0].columns]
    assert titles == ["Target", "Hemisphere", "Regions", "r", "r\u00b2", "R\u00b2", "Pooled r"]
    unknown = with_table(sources, scores=sources.scores.assign(hemisphere=np.nan))
    table = of(Table, scores.by_target(unknown))[0]
    assert [column.title for column in table.columns] == [titles[0], *titles[2:]]
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_few_targets_are_listed_once_and_undefined_ones_counted(sources: Sources) -> None:
    table = sources.scores.head(6).copy()
    table.loc[2, "r"] = np.nan
    blocks = scores.by_target(with_table(sources, scores=table))
    (listed,) = of(Table, blocks)
    assert len(listed.rows) == 5
    assert of(Notice, blocks)[0].title == "1 target without a defined score"


def test_scores_are_counted_again_from_the_predictions(sources: Sources) -> None:
    blocks = predictions.blocks(sources)
    assert blocks[0].level == "passed"
    assert "24 targets, 3 folds" in blocks[0].text
    assert len(of(Picture, blocks)) == 3


def test_scores_that_differ_from_the_predictions_are_a_warning(sources: Sources) -> None:
    table = sources.scores.copy()
    table.loc[4, "r"] += 0.01
    blocks = predictions.blocks(with_table(sources, scores=table))
    assert blocks[0].level == "warning"
    assert "up to 0.010" in blocks[0].text


def test_examples_are_the_best_the_median_and_the_worst(sources: Sources) -> None:
    names = sources.scores["target"].tolist()
    chosen = predictions._examples(sources, names)
    order = sources.scores["r"].sort_values(ascending=False).index.tolist()
    assert [place for _, place, _ in chosen] == [order[0], order[12], order[-1]]
    assert [role for role, _, _ in chosen] == ["best", "median", "worst"]


def test_examples_follow_the_columns_of_the_predictions(sources: Sources) -> None:
    names = sources.scores["target"].tolist()[::-1]
    (_, place, _), *_ = predictions._examples(sources, names)
    assert names[place] == sources.scores["target"][sources.scores["r"].idxmax()]


def test_a_single_target_is_shown_once(sources: Sources) -> None:
    single = with_table(sources, scores=sources.scores.head(1))
    assert [role for role, *_ in predictions._examples(single, ["lh-00000"])] == ["best"]


def test_no_penalty_no_figure(sources: Sources) -> None:
    without = with_table(sources, scores=sources.scores.drop(columns="alpha"))
    assert len(of(Picture, predictions.blocks(without))) == 2


def test_methods_are_those_of_every_stage_in_order_with_versions(sources: Sources) -> None:
    (prose,) = of(Prose, methods.blocks(sources))
    assert prose.paragraphs[:3] == tuple(METHODS.values())
    assert "Student's t" in prose.paragraphs[3]
    assert (
        prose.paragraphs[4]
        == "Software: Python 3.11.9, neuroattn 0.1.0, NumPy 2.4.6, SciPy 1.17.1."
    )


def test_a_version_that_differs_between_stages_is_told_apart(sources: Sources) -> None:
    def stage(version: str) -> SimpleNamespace:
        return SimpleNamespace(provenance={"versions": {"numpy": version, "python": "3.11"}})

    fake = Sources({"prepare": stage("2.0"), "encode": stage("2.1")})  # type: ignore[dict-item]
    expected = "Software: Python 3.11, NumPy 2.0 (prepare), NumPy 2.1 (encode)."
    assert methods._software(fake, ["prepare", "encode"]) == expected


def test_about_has_a_row_and_all_details_of_every_artefact(made: Chain, sources: Sources) -> None:
    blocks = about.blocks(sources)
    (table,), details = of(Table, blocks), of(Details, blocks)
    assert [row[0] for row in table.rows] == [sources.name(stage) for stage in made.parents]
    assert table.rows[0][2:] == ("4f2a9c0d7b with changes", "cpu", "0")
    assert "node-17" not in str(blocks), "facts of a run would make equal inputs unequal pages"
    encode = made.parents["encode"]
    facts, parameters, versions, files = details[-1].blocks
    assert dict(facts.stated)["Fingerprint"] == encode.fingerprint
    assert parameters.rows == (("encoder.alpha_max", "1e5"),)
    assert ("numpy", "2.4.6") in versions.rows
    assert {row[0]: row[2] for row in files.rows} == {
        name: entry["sha256"] for name, entry in encode.files.items()
    }


def test_about_an_artefact_with_bare_provenance(made: Chain) -> None:
    bare = SimpleNamespace(
        stage="encode",
        label="x-1",
        fingerprint="1" * 64,
        provenance={},
        files={},
        inputs={},
        fingerprint_payload={},
    )
    blocks = about.blocks(Sources({"encode": bare}))  # type: ignore[dict-item]
    assert blocks[0].rows[0][1:3] == ("1" * 8, "not known")
    assert about.blocks(Sources({})) == (Prose(("No artefact was there to report on.",)),)
