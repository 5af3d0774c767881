"""Methods: the sentences of every stage in their order, to be copied into a paper."""

from __future__ import annotations

from neuroattn.reports.blocks import Block, Prose, Subheading
from neuroattn.reports.registry import CHAINS, needed
from neuroattn.reports.sources import Sources, cited

SCORING = (
    "Prediction accuracy is Pearson's correlation between measured and predicted responses over"
    " the test images of a fold, averaged over folds and then over targets; intervals are"
    " Student's t intervals over targets at 95 %."
)
_CC0 = "This section is dedicated to the public domain (CC0 1.0); copy it freely."
# Packages that can change a number; the whole list of each stage stands in About.
_NAMED = {
    "python": "Python", "neuroattn": "neuroattn", "torch": "PyTorch", "numpy": "NumPy",
    "scipy": "SciPy", "himalaya": "himalaya", "scikit-learn": "scikit-learn",
}  # fmt: skip


def blocks(sources: Sources) -> tuple[Block, ...]:
    """Paragraphs by stage, the report's own sentence, and the software."""
    stages = [stage for stage in needed(CHAINS) if sources.has(stage)]
    if not stages:
        return ()
    said = [sources.parents[stage].methods for stage in stages]
    scoring = [SCORING] if sources.has("encode") else []
    software = _software(sources, stages)
    paragraphs = tuple(text for text in (*said, *scoring, software) if text)
    return (Subheading("", _CC0), Prose(paragraphs), *_behind(sources))


def _behind(sources: Sources) -> tuple[Block, ...]:
    """Methods of what stands behind artefacts that were made with other keys."""
    said = tuple(f"{cited(one)}: {one.methods}" for one in sources.behind if one.methods)
    if not said:
        return ()
    note = "Behind results above that were made with other keys than the rest."
    return (Subheading("Other artefacts", note), Prose(said))


def _software(sources: Sources, stages: list[str]) -> str:
    """Versions with the stages that used them, where not all used the same."""
    used: dict[str, list[str]] = {}
    for stage in stages:
        versions = sources.parents[stage].provenance.get("versions") or {}
        for package, name in _NAMED.items():
            if package in versions:
                used.setdefault(f"{name} {versions[package]}", []).append(stage)
    if not used:
        return ""
    everywhere = [name for name, users in used.items() if len(users) == len(stages)]
    elsewhere = [
        f"{name} ({', '.join(users)})" for name, users in used.items() if name not in everywhere
    ]
    return f"Software: {', '.join(everywhere + elsewhere)}."
