"""A small captioner of the made-up space, trained on its bank's own captions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from neuroattn.generators.captioner import Captioner, CaptionNetwork
from neuroattn.generators.text import END, PAD, START, Vocabulary
from tests.unit.captioning.cone import World


def language(words: int, width: int = 32, layers: int = 1) -> Any:
    """A small GPT-2 with random weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    shape = GPT2Config(
        vocab_size=words, n_positions=64, n_embd=width, n_layer=layers, n_head=2, resid_pdrop=0.0,
        embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=START, eos_token_id=END, pad_token_id=PAD,
    )  # fmt: skip
    return GPT2LMHeadModel(shape)


def untrained(dim: int, captions: list[str], seed: int = 0, width: int = 32) -> Captioner:
    """A captioner with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        words = Vocabulary.of(captions)
        network = CaptionNetwork(dim, 2, language(len(words), width))
    return Captioner(network, words)


def trained(world: World, steps: int = 500) -> Captioner:
    """Learn the bank's captions from its embeddings."""
    captions = [texts[0] for texts in world.bank.captions]
    made = untrained(world.space.dim, captions)
    network, rng = made.network.train().requires_grad_(True), np.random.default_rng(0)
    vectors = torch.from_numpy(world.bank.vectors(np.arange(len(captions))).astype(np.float32))
    tokens = made.words.batch(captions, 16)
    optimiser = torch.optim.Adam(network.parameters(), lr=4e-3)
    for _ in range(steps):
        rows = torch.from_numpy(rng.integers(len(captions), size=64))
        logits = network(functional.normalize(vectors[rows], dim=1), tokens[rows, :-1])
        loss = functional.cross_entropy(
            logits.flatten(0, 1), tokens[rows, 1:].flatten(), ignore_index=PAD
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return Captioner(network, made.words)


def saved(captioner: Captioner, folder: Path, dim: int) -> Path:
    """Written as the embedded one is."""
    from neuroattn.generators.captioner import _save
    from neuroattn.generators.cards import write_model

    facts = {
        "model": "captioner", "about": "", "data": "", "steps": 0, "cpu_seconds": 0.0,
        "device": "cpu", "versions": {}, "limits": "", "scores": {},
    }  # fmt: skip
    write_model(folder, lambda draft: _save(captioner, dim, draft), facts)
    return folder
