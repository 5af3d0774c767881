"""BLEU, ROUGE-L and CIDEr: by hand on small captions, and against a published table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from neuroattn.core.errors import DataError
from neuroattn.stats.text_metrics import bleu, cider, rouge_l, text_metrics

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "brainhub_captions"
NAMES = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider")
# Published beside the captions (BrainHub, results of November 2025), in the order of `NAMES`.
PUBLISHED = {
    ("umbrae-v-1-4", 1): (0.5944, 0.4048, 0.2766, 0.1903, 0.4371, 0.6106),
    ("umbrae-v-1-4", 2): (0.5937, 0.4047, 0.2714, 0.1841, 0.4386, 0.5593),
    ("umbrae-v-1-4", 5): (0.6036, 0.4127, 0.2792, 0.1903, 0.4481, 0.6132),
    ("umbrae-v-1-4", 7): (0.5720, 0.3830, 0.2549, 0.1713, 0.4216, 0.5273),
    ("braincap", 1): (0.5596, 0.3621, 0.2270, 0.1451, 0.4069, 0.4130),
    ("braincap", 2): (0.5380, 0.3416, 0.2086, 0.1303, 0.3996, 0.3560),
    ("braincap", 5): (0.5528, 0.3571, 0.2262, 0.1462, 0.4087, 0.4105),
    ("braincap", 7): (0.5425, 0.3447, 0.2167, 0.1400, 0.4002, 0.3749),
}
QUICK = ("braincap", 1)
there = pytest.mark.skipif(not FOLDER.is_dir(), reason="shared/data/brainhub_captions is absent")


def test_bleu_counts_runs_of_words() -> None:
    # 5 of 6 words, 3 of 5 pairs, 1 of 4 triples, none of 3 quadruples.
    found = bleu(["The cat sat on the mat."], [["The cat is on the mat."]])
    expected = [5 / 6, (5 / 6 * 3 / 5) ** 0.5, (5 / 6 * 3 / 5 / 4) ** (1 / 3)]
    np.testing.assert_allclose(found[:3], expected, rtol=1e-6)
    assert found[3] < 1e-3


def test_a_word_counts_as_often_as_in_one_reference_at_most() -> None:
    references = [["the cat is on the mat", "there is a cat on the mat"]]
    found = bleu(["the the the the the the the"], references)
    assert found[0] == pytest.approx(2 / 7)


def test_short_captions_pay_by_the_nearest_reference_length() -> None:
    references = [["a dog runs", "a dog runs over the wide green field"]]
    assert bleu(["a dog"], references)[0] == pytest.approx(np.exp(1 - 3 / 2))


def test_bleu_is_of_the_corpus() -> None:
    pair = [["a cat"], ["one two three four five six"]]
    found = bleu(["a cat", "zero zero zero zero zero zero"], pair)
    assert found[0] == pytest.approx(2 / 8)  # and not the mean of 1 and 0


def test_rouge_takes_the_best_precision_and_the_best_recall() -> None:
    assert rouge_l(["police kill the gunman"], [["police killed the gunman"]])[0] == pytest.approx(
        0.75
    )
    # Precision 1 from the long reference, recall 1 from the short one.
    found = rouge_l(["a red cat"], [["a red cat sits here now", "cat"]])
    assert found[0] == pytest.approx(1)


def test_cider_is_ten_for_a_caption_that_is_its_reference() -> None:
    references = [["one red cat sleeps"], ["two blue dogs bark loudly"]]
    found = cider(["one red cat sleeps", "two blue dogs bark"], references)
    assert found[0] == pytest.approx(10)
    assert 0 < found[1] < 10


def test_words_of_all_references_weigh_nothing_in_cider() -> None:
    references = [["a cat"], ["a dog"], ["a bus"]]
    assert cider(["a", "a dog", "a"], references)[[0, 2]].tolist() == [0, 0]


def test_a_caption_without_words_scores_nothing() -> None:
    found = text_metrics(["...", "a cat on a mat"], [["a dog"], ["a cat on a mat"]])
    assert all(np.isfinite(value) for value in found.values())
    assert rouge_l(["..."], [["a dog"]])[0] == 0


@pytest.mark.parametrize(("captions", "references"), [([], []), (["a"], []), (["a"], [[]])])
def test_captions_without_references_are_refused(
    captions: list[str], references: list[list[str]]
) -> None:
    with pytest.raises(DataError, match="without references"):
        text_metrics(captions, references)


@there
@pytest.mark.parametrize(
    ("method", "subject"),
    [
        pytest.param(*key, marks=() if key == QUICK else pytest.mark.slow, id=f"{key[0]}-{key[1]}")
        for key in PUBLISHED
    ],
)
def test_the_published_table_comes_out_to_its_last_digit(method: str, subject: int) -> None:
    references = json.loads((FOLDER / "fmri_cococap.json").read_text())
    said = json.loads((FOLDER / f"{method}_sub0{subject}_decoded_caption.json").read_text())
    assert len(references) == len(said) == 982
    found = text_metrics([said[image] for image in references], list(references.values()))
    told = [found[name] for name in NAMES]
    np.testing.assert_allclose(told, PUBLISHED[method, subject], rtol=0, atol=5.1e-5)
