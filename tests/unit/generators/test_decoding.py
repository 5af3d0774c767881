from __future__ import annotations

import pytest
import torch

from neuroattn.generators.decoding import Ends, sampled, search
from neuroattn.generators.text import END, PAD, START
from tests.plain_search import Bounds, beam
from tests.unit.captioning.speaker import untrained

WORDS = ["a red cat on a mat in the sun", "one dog and two birds by some water"]
LENGTH = 9


@pytest.fixture(scope="module")
def made():
    captioner = untrained(6, WORDS, seed=4, width=8)
    with torch.no_grad():  # sharper, so that paths differ and some of them end
        for name, weight in captioner.network.named_parameters():
            if "ln" not in name:
                weight.mul_(17 if name.startswith("prefix") else 10 if "wte" in name else 20)
    return captioner


def _given(count: int) -> torch.Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(0))


def _prefix(made, given):
    return made.network.before(given)


ENDS = Ends(START, END, LENGTH, (PAD, START))


@pytest.mark.parametrize("beams", [1, 2, 4])
def test_the_cached_search_finds_what_the_plain_one_finds(made, beams: int) -> None:
    given = _given(12)

    @torch.no_grad()
    def following(rows, told):
        logits = made.network(given[rows], told)[:, -1].float()
        logits[:, [PAD, START]] = -torch.inf
        return torch.log_softmax(logits, dim=-1)

    wanted = [
        [n for n in row if n not in (START, END)]
        for row in beam(following, 12, Bounds(START, END, LENGTH), beams)
    ]
    found = search(made.network.language, _prefix(made, given), ENDS, beams)
    assert [one.tokens for one in found] == wanted
    assert len({tuple(one.tokens) for one in found}) > 3, "a test of one caption tests little"


def test_a_caption_does_not_depend_on_its_neighbours(made) -> None:
    prefix = _prefix(made, _given(6))
    seeds = list(range(6))
    together = search(made.network.language, prefix, ENDS, 3)
    alone = [search(made.network.language, prefix[n : n + 1], ENDS, 3)[0] for n in range(6)]
    assert [one.tokens for one in together] == [one.tokens for one in alone]
    drawn = sampled(made.network.language, prefix, ENDS, 1.0, seeds)
    again = [sampled(made.network.language, prefix[n : n + 1], ENDS, 1.0, [n])[0] for n in seeds]
    assert [one.tokens for one in drawn] == [one.tokens for one in again]
    other = sampled(made.network.language, prefix, ENDS, 1.0, [n + 100 for n in seeds])
    assert [one.tokens for one in other] != [one.tokens for one in drawn]


def test_paths_that_ended_are_no_padding_to_warn_of(made, monkeypatch) -> None:
    def warned(*_: object) -> None:
        raise AssertionError("transformers would warn the user of padding")

    kind = type(made.network.language.transformer)
    monkeypatch.setattr(kind, "warn_if_padding_and_no_attention_mask", warned)
    found = search(made.network.language, _prefix(made, _given(12)), ENDS, 2)
    assert len({len(one.tokens) for one in found}) > 1, "none ended before another"


def test_its_probability_is_that_of_its_words(made) -> None:
    prefix = _prefix(made, _given(1))
    (found,) = search(made.network.language, prefix, ENDS, 2)
    tokens = torch.tensor([[START, *found.tokens, END]])[:, :LENGTH]
    with torch.no_grad():
        logits = made.network(_given(1), tokens[:, :-1]).float()
    logits[:, :, [PAD, START]] = -torch.inf
    each = torch.log_softmax(logits, -1).gather(2, tokens[:, 1:, None])
    assert found.log_probability == pytest.approx(float(each.mean()), abs=1e-4)


def test_a_poor_end_does_not_drive_out_the_best_path() -> None:
    """Many words that could end early: an end counts only where a beam would have taken it."""
    made = untrained(6, WORDS, seed=5, width=8)
    found = search(made.network.language, _prefix(made, _given(4)), ENDS, 1)
    wide = search(made.network.language, _prefix(made, _given(4)), ENDS, 6)
    for narrow, best in zip(found, wide, strict=True):
        assert best.log_probability >= narrow.log_probability - 1e-5


# The reference itself

_A, _B = 1, 2
_TRAP = {  # A looks best at first and leads nowhere; B is followed by a certain end
    0: [0, 0.6, 0.4, 0],
    _A: [0, 0.4, 0.3, 0.3],
    _B: [0, 0, 0.05, 0.95],
    3: [0, 0, 0, 1],
}


@pytest.mark.parametrize(("beams", "wanted"), [(1, [0, _A, _A, _A, _A]), (3, [0, _B, 3])])
def test_beams_find_the_likelier_sentence(beams: int, wanted: list[int]) -> None:
    def following(rows, told):
        return torch.log(torch.tensor([_TRAP[int(row[-1])] for row in told]))

    assert beam(following, 1, Bounds(0, 3, 5), beams) == [wanted]
