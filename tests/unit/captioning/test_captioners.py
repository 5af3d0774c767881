from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from neuroattn.captioning.bank import Bank
from neuroattn.captioning.captioners import Setting
from neuroattn.captioning.concepts import Concept
from neuroattn.captioning.keywords import Keywords, phrase
from neuroattn.captioning.nearest import Nearest, consensus, likeness
from neuroattn.captioning.prefix_lm import PrefixLm
from neuroattn.captioning.registry import (
    KeywordsConfig,
    NearestConfig,
    PrefixLmConfig,
    VlmConfig,
    model_leaves,
)
from neuroattn.captioning.vlm import Vlm, echoed
from neuroattn.core.errors import ConfigError, DataError, MissingDataError
from tests.chain import neuroattn, words
from tests.unit.captioning.cone import DIM, NOUNS, a_bank, cone, split_pairs
from tests.unit.captioning.speaker import untrained

TEXTS = ["A cat on a mat.", "A cat on a mat in the sun.", "A bus.", "A cat."]


@pytest.fixture(scope="module")
def bank() -> Bank:
    rng = np.random.default_rng(0)
    made, _ = a_bank(cone(), 60, split_pairs(rng)[0], rng)
    return made


def _concept(bank: Bank, noun: str, embedding: bool = True) -> Concept:
    places = np.array([n for n, texts in enumerate(bank.captions) if noun in texts[0]])
    vector = cone().things[NOUNS.index(noun)].astype(np.float32) if embedding else None
    return Concept(0, 0, 1.0, places, vector)


# nearest, keywords


def test_the_consensus_is_the_text_that_others_agree_with() -> None:
    told = consensus(TEXTS, likeness(TEXTS, None), np.arange(4))
    assert told.text == "A cat on a mat."
    assert 0.3 < told.sure < 0.9
    alone = consensus(["A bus."], np.ones((1, 1)), np.array([0]))
    assert (alone.text, alone.sure) == ("A bus.", 1.0)
    own = consensus(TEXTS, likeness(TEXTS, None), np.array([0, 0, 1, 2]))
    assert own.text == "A cat.", "captions of one picture do not vouch for each other"


def test_nearest_and_keywords_speak_of_what_the_pictures_share(bank: Bank) -> None:
    concept = _concept(bank, "cat", embedding=False)
    for text in (None, cone()):
        setting = Setting(bank, text, cone().things[[0]].astype(np.float32))
        assert "cat" in Nearest(NearestConfig(), setting).caption([concept])[0].text
        told = Keywords(KeywordsConfig(keywords=1), setting).caption([concept])[0]
        assert told.text == "A picture of a cat."


def test_without_captions_there_is_a_remedy(bank: Bank) -> None:
    mute = replace(bank, captions=[[] for _ in bank.captions])
    with pytest.raises(MissingDataError, match="captions of the bank"):
        Nearest(NearestConfig(), Setting(mute)).caption([_concept(bank, "cat")])


def test_a_phrase() -> None:
    assert phrase(["owl"]) == "an owl"
    assert phrase(["cat", "stairs", "owl"]) == "a cat, stairs and an owl"


# prefix_lm: ClipCap's form


@pytest.fixture(scope="module")
def clipcap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clipcap")
    captioner = untrained(DIM, ["a cat and a bus ."], seed=1)
    language = captioner.network.language
    state = {f"gpt.{name}": value for name, value in language.state_dict().items()}
    state |= {
        f"clip_project.model.{name}": v for name, v in captioner.network.prefix.state_dict().items()
    }
    state["gpt.transformer.h.0.attn.bias"] = torch.ones(1, 1, 64, 64)
    state["gpt.transformer.h.0.attn.masked_bias"] = torch.tensor(-1e4)
    state.pop("gpt.lm_head.weight")  # it is the embedding of words again
    save_file({name: value.contiguous().clone() for name, value in state.items()},
              folder / "weights.safetensors")  # fmt: skip
    language.config.save_pretrained(folder / "language")
    captioner.words.tokeniser().save_pretrained(folder / "language")
    return folder


def _broken(clipcap: Path, folder: Path, **changed: torch.Tensor | None) -> Path:
    import shutil

    shutil.copytree(clipcap, folder)
    state = load_file(folder / "weights.safetensors")
    for name, value in changed.items():
        if value is None:
            del state[name]
        else:
            state[name] = value
    save_file(state, folder / "weights.safetensors")
    return folder


def test_clipcap_s_weights_load_with_the_masks_of_older_versions(
    clipcap: Path, bank: Bank, tmp_path: Path
) -> None:
    config = PrefixLmConfig(model=str(clipcap), length=6, beams=2, stop="")
    made = PrefixLm(config, Setting(bank))
    (told,) = made.caption([_concept(bank, "cat")])
    assert 0 <= told.sure <= 1
    stored = load_file(clipcap / "weights.safetensors")
    language = made.speaker.language.state_dict()
    name = "transformer.h.0.attn.c_attn.weight"
    assert torch.equal(language[name], stored[f"gpt.{name}"])
    torch.save(stored, tmp_path / "weights.pt")
    (tmp_path / "language").symlink_to(clipcap / "language")
    (again,) = PrefixLm(replace(config, model=str(tmp_path)), Setting(bank)).caption(
        [_concept(bank, "cat")]
    )
    assert again == told


@pytest.mark.parametrize(("length", "warned"), [(1.0, 1), (10.0, 0)])
def test_clipcap_is_told_lengths_and_says_once_where_they_were_lost(
    clipcap: Path, bank: Bank, caplog: pytest.LogCaptureFixture, length: float, warned: int
) -> None:
    made = PrefixLm(PrefixLmConfig(model=str(clipcap), length=2, beams=1, stop=""), Setting(bank))
    seen: list[torch.Tensor] = []
    speak = made.speaker.prefix
    made.speaker = replace(made.speaker, prefix=lambda given: seen.append(given) or speak(given))
    concept = _concept(bank, "cat")
    assert concept.embedding is not None
    unit = concept.embedding / np.linalg.norm(concept.embedding)
    for _ in range(2):
        made.caption([replace(concept, embedding=length * unit)])
    assert float(seen[0].norm()) == pytest.approx(length, rel=1e-4)
    assert sum("of unit length" in one.message for one in caplog.records) == warned


@pytest.mark.parametrize(
    "name",
    ["gpt.transformer.h.0.attn.c_attn.bias", "gpt.transformer.ln_f.weight",
     "clip_project.model.2.weight"],
)  # fmt: skip
def test_a_captioner_that_lacks_a_weight_is_refused(
    clipcap: Path, bank: Bank, tmp_path: Path, name: str
) -> None:
    folder = _broken(clipcap, tmp_path / "model", **{name: None})
    with pytest.raises(DataError, match="not complete"):
        PrefixLm(PrefixLmConfig(model=str(folder)), Setting(bank))


def test_a_weight_that_nobody_knows_and_embeddings_of_another_space_are_refused(
    clipcap: Path, bank: Bank, tmp_path: Path
) -> None:
    folder = _broken(clipcap, tmp_path / "model", **{"gpt.another.weight": torch.ones(2)})
    with pytest.raises(DataError, match=r"another\.weight"):
        PrefixLm(PrefixLmConfig(model=str(folder)), Setting(bank))
    made = PrefixLm(PrefixLmConfig(model=str(clipcap)), Setting(bank))
    with pytest.raises(DataError, match="another space"):
        made.caption([Concept(0, 0, 1.0, np.arange(2), np.ones(DIM + 1, np.float32))])
    with pytest.raises(ConfigError, match="backbone=space"):
        made.caption([_concept(bank, "cat", embedding=False)])


@pytest.mark.parametrize("weights", ["weights.pt", "weights.safetensors"])
def test_weights_of_clipcap_s_form_enter_the_fingerprint(tmp_path: Path, weights: str) -> None:
    (tmp_path / "language").mkdir()
    for name in (weights, "language/config.json", "readme.pt"):
        (tmp_path / name).touch()
    found = model_leaves(PrefixLmConfig(model=str(tmp_path)))
    assert set(found) == {f"captioner/{weights}", "captioner/language/config.json"}


# vlm


@pytest.fixture(scope="module")
def vlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import (
        BlipConfig,
        BlipForConditionalGeneration,
        BlipImageProcessor,
        BlipProcessor,
    )

    folder = tmp_path_factory.mktemp("vlm")
    tokeniser = untrained(DIM, ["describe the picture in one sentence . a cat and a bus"]).words
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
             "num_attention_heads": 2}  # fmt: skip
    shape = BlipConfig(
        text_config={**small, "vocab_size": len(tokeniser), "encoder_hidden_size": 16,
                     "bos_token_id": 1, "sep_token_id": 2, "eos_token_id": 2, "pad_token_id": 0,
                     "projection_dim": 8},
        vision_config={**small, "image_size": 16, "patch_size": 8}, projection_dim=8,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BlipForConditionalGeneration(shape).save_pretrained(folder)
    pictures = BlipImageProcessor(size={"height": 16, "width": 16})
    BlipProcessor(pictures, tokeniser.tokeniser()).save_pretrained(folder)
    return folder


def test_any_image_text_model_describes_top_pictures_once_each(vlm: Path, bank: Bank) -> None:
    seen: list[int] = []

    def picture(place: int) -> np.ndarray:
        seen.append(place)
        return np.full((20, 30, 3), place % 256, np.uint8)

    config = VlmConfig(model=str(vlm), prompt="a", length=4, pictures=3)
    made = Vlm(config, Setting(bank, picture=picture))
    one = made.caption([Concept(0, 0, 1.0, np.array([4, 7, 9, 11]))])
    both = made.caption(
        [Concept(0, 0, 1.0, np.array([4, 7, 9])), Concept(1, 0, 1.0, np.array([7]))]
    )
    assert seen == [4, 7, 9]
    assert both[0] == one[0]
    assert both[1].sure == 1.0


def _picture(place: int) -> np.ndarray:
    """Pictures of different sizes."""
    rng = np.random.default_rng(place)
    return rng.integers(0, 256, size=(16 + 8 * (place % 3), 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaVA-NeXT with random weights, whose pictures take more tokens the larger they are."""
    from transformers import LlavaNextConfig, LlavaNextForConditionalGeneration, LlavaNextProcessor
    from transformers.models.llava_next.image_processing_pil_llava_next import (
        LlavaNextImageProcessorPil,
    )

    folder = tmp_path_factory.mktemp("llava")
    tokeniser = untrained(DIM, ["describe the picture . a cat and a bus"]).words.tokeniser()
    tokeniser.add_special_tokens({"additional_special_tokens": ["<image>"]})
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
             "num_attention_heads": 2}  # fmt: skip
    shape = LlavaNextConfig(
        text_config={**small, "model_type": "llama", "vocab_size": len(tokeniser),
                     "num_key_value_heads": 2, "max_position_embeddings": 256,
                     "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0},
        vision_config={**small, "model_type": "clip_vision_model", "image_size": 16,
                       "patch_size": 8, "projection_dim": 16, "num_hidden_layers": 2},
        image_grid_pinpoints=[[16, 16], [16, 32], [32, 32]],
        image_token_index=tokeniser.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(1)
        LlavaNextForConditionalGeneration(shape).save_pretrained(folder)
    pictures = LlavaNextImageProcessorPil(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16},
        image_grid_pinpoints=[[16, 16], [16, 32], [32, 32]],
    )  # fmt: skip
    LlavaNextProcessor(
        pictures, tokeniser, patch_size=8, vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    ).save_pretrained(folder)  # fmt: skip
    return folder


@pytest.mark.parametrize("model", ["vlm", "decoder"])
def test_a_description_does_not_depend_on_its_batch(
    model: str, bank: Bank, request: pytest.FixtureRequest
) -> None:
    config = VlmConfig(model=str(request.getfixturevalue(model)), prompt="a", length=6, pictures=1)
    concepts = [Concept(n, 0, 1.0, np.array([n])) for n in range(7)]
    alone = Vlm(replace(config, batch=1), Setting(bank, picture=_picture)).caption(concepts)
    made = Vlm(replace(config, batch=4), Setting(bank, picture=_picture))
    sizes: list[int] = []
    calls = made.model.generate
    made.model.generate = lambda **given: sizes.append(len(given["input_ids"])) or calls(**given)
    assert made.caption(concepts) == alone
    assert sizes == [4, 3]
    assert any(one.text for one in alone)


def test_what_was_asked_is_no_part_of_the_answer() -> None:
    asked = torch.tensor([0, 0, 5, 6])
    assert echoed(torch.tensor([0, 0, 5, 6, 7, 8]), asked) == 4
    assert echoed(torch.tensor([0, 0, 5, 7, 8]), asked) == 3, "BLIP answers in the last one's place"
    assert echoed(torch.tensor([7, 8]), asked) == 0


def test_a_stopped_run_keeps_its_descriptions(vlm: Path, bank: Bank, tmp_path: Path) -> None:
    config = VlmConfig(model=str(vlm), prompt="a", length=4, pictures=6, batch=2)
    concept = Concept(0, 0, 1.0, np.arange(6))
    whole = Vlm(config, Setting(bank, picture=_picture)).caption([concept])
    setting = Setting(bank, picture=_picture, keep=tmp_path / "vlm")
    stopped, sizes = Vlm(config, setting), []
    calls = stopped.model.generate

    def generate(**given: torch.Tensor) -> torch.Tensor:
        if len(sizes) == 2:
            raise KeyboardInterrupt
        sizes.append(len(given["input_ids"]))
        return calls(**given)

    stopped.model.generate = generate
    with pytest.raises(KeyboardInterrupt):
        stopped.caption([concept])
    resumed = Vlm(config, setting)
    calls, sizes = resumed.model.generate, []
    resumed.model.generate = generate
    assert resumed.caption([concept]) == whole
    assert sizes == [2], "four of the six pictures were described before"


def test_a_vlm_that_is_not_named_or_not_whole_is_refused(bank: Bank, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"captioner\.model"):
        Vlm(VlmConfig(), Setting(bank))
    with pytest.raises(DataError, match="AutoModelForImageTextToText in this folder"):
        Vlm(VlmConfig(model=str(tmp_path)), Setting(bank))


def test_a_chat_template_enters_the_fingerprint(tmp_path: Path) -> None:
    for name in ("config.json", "chat_template.jinja"):
        (tmp_path / name).touch()
    found = model_leaves(VlmConfig(model=str(tmp_path)))
    assert set(found) == {"captioner/config.json", "captioner/chat_template.jinja"}


def test_a_vlm_that_is_not_named_is_refused_before_any_stage(
    tiny_data: Path, tmp_path: Path
) -> None:
    ran = neuroattn(*words("caption", tiny_data, tmp_path, "captioner=vlm"))
    assert ran.code == 2
    assert "captioner.model=FOLDER" in ran.err
    assert not (tmp_path / "prepare").exists(), "the chain was begun"
