from __future__ import annotations

import torch

from neuroattn.generators.captioner import CaptionNetwork, CaptionTask, language_model
from neuroattn.generators.loading import load
from neuroattn.generators.registry import CaptionerConfig
from neuroattn.generators.text import END, START

CONFIG = CaptionerConfig(prefix=2, width=16, layers=1, heads=2, dropout=0.0)


def _network() -> CaptionNetwork:
    torch.manual_seed(0)
    return CaptionNetwork(4, 2, language_model(10, CONFIG))


def test_words_to_come_change_nothing_before_them() -> None:
    network = _network().eval()
    given = torch.randn(1, 4)
    one, other = torch.tensor([[START, 4, 5, 6]]), torch.tensor([[START, 4, 7, 8]])
    left, right = network(given, one), network(given, other)
    assert left.shape == (1, 4, 10)
    assert torch.allclose(left[:, :2], right[:, :2], atol=1e-6)
    assert not torch.allclose(left[:, 2], right[:, 2], atol=1e-4)


def test_the_embedding_decides_the_first_word() -> None:
    network = _network()
    given = torch.eye(4)
    batch = {"embeddings": given, "tokens": torch.tensor([[START, 4 + n, END] for n in range(4)])}
    task, optimiser = CaptionTask(0.0), torch.optim.AdamW(network.parameters(), lr=1e-2)
    first = task.loss(network, batch).item()
    for _ in range(60):
        optimiser.zero_grad()
        task.loss(network, batch).backward()
        optimiser.step()
    assert task.loss(network, batch).item() < first / 4
    said = network.eval()(given, torch.full((4, 1), START))[:, -1].argmax(dim=1)
    assert said.tolist() == [4, 5, 6, 7]


def test_noise_is_for_training_alone() -> None:
    network, task = _network(), CaptionTask(0.9)
    batch = {"embeddings": torch.eye(4), "tokens": torch.tensor([[START, 4, END]] * 4)}
    assert task.loss(network, batch).item() != task.loss(network, batch).item()
    network.eval()
    assert task.loss(network, batch).item() == task.loss(network, batch).item()


def test_captions_are_sentences_of_known_words(models) -> None:
    captioner, space = load(models / "captioner"), load(models / "space")
    given = space.encode_text(["A cat in a room.", "A bus in a city."])
    for beams in (1, 2):
        told = captioner.caption(given, beams)
        assert len(told) == 2
        assert all(word not in sentence for sentence in told for word in ("<pad>", "<start>"))
    assert captioner.caption(given) == captioner.caption(given)


def test_the_language_model_loads_with_the_library_itself(models) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = models / "captioner" / "language"
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    tokens = AutoTokenizer.from_pretrained(folder, local_files_only=True)("a city.")["input_ids"]
    ours = load(models / "captioner")
    assert tokens == ours.words.encode("a city.")
    assert torch.equal(
        model.get_input_embeddings().weight, ours.network.language.get_input_embeddings().weight
    )
