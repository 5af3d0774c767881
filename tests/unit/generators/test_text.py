from __future__ import annotations

import pytest

from neuroattn.data.simulate.compose import GENERATOR, compose
from neuroattn.generators.text import END, PAD, START, UNKNOWN, Vocabulary, joined, split

CAPTIONS = [told for n in range(40) for told in compose(n, seed=0, layout=GENERATOR).captions]
WORDS = Vocabulary.of(CAPTIONS)


def test_every_caption_survives_the_round_trip() -> None:
    assert [WORDS.decode(WORDS.encode(caption)) for caption in CAPTIONS] == CAPTIONS


def test_a_quoted_word_keeps_its_quotes_close() -> None:
    sentence = 'A green word "milk" at the top left, in a room.'
    assert joined(split(sentence)) == sentence


def test_a_word_that_was_never_seen_is_unknown_and_not_lost() -> None:
    assert WORDS.encode("a zebrafish")[2] == UNKNOWN
    assert WORDS.decode([START, UNKNOWN, END]) == "<unknown>"


def test_a_batch_is_padded_and_cut_with_its_end() -> None:
    rows = WORDS.batch(["a", "a a a a a"], 4)
    one = WORDS.numbers["a"]
    assert rows.tolist() == [[START, one, END, PAD], [START, one, one, END]]


def test_the_file_gives_the_same_numbers(tmp_path) -> None:
    WORDS.save(tmp_path / "vocab.json")
    assert Vocabulary.read(tmp_path / "vocab.json").words == WORDS.words


@pytest.mark.parametrize("caption", ['A word "milk" in a city.', *CAPTIONS[:10]])
def test_the_library_s_tokeniser_says_the_same(caption: str) -> None:
    assert WORDS.tokeniser()(caption)["input_ids"] == WORDS.encode(caption)
