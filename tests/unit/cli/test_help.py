"""The help of a stage: its parents, all choices, and each key with its value and its sentence."""

from __future__ import annotations

from neuroattn.cli.compose import config_loader, load, typed
from neuroattn.cli.help import help_text
from neuroattn.core.config import walk
from neuroattn.pipeline.stages import catalogue


def test_every_key_and_choice_is_there() -> None:
    with config_loader() as loader:
        config = typed(load(loader, ["seed=3", "encoder.layers=[a]"]))
        text = help_text("encode", config, loader)
    lines = text.splitlines()
    for key in walk(config):
        if not key.is_name and key.path != "stage":
            (place,) = [i for i, line in enumerate(lines) if line.startswith(f"  {key.path}=")]
            assert lines[place + 1] == f"      {key.doc}"
    assert "  seed=3" in lines
    assert "  encoder.layers=['a']" in lines
    assert "  dataset.root=null" in lines
    assert "Missing parents (prepare, features)" in text
    for group, registry in catalogue().registries.items():
        assert f"  {group}={' | '.join(sorted(registry))}" in lines
