"""The page that lies in the folder of a simulated dataset."""

from __future__ import annotations

from typing import Any


def readme(description: dict[str, Any]) -> str:
    """What the folder holds, from the content of the description."""
    made, counts = description["parameters"], description["counts"]
    differences = "\n".join(
        f"- **{key}**: {text}." for key, text in description["deviations"].items()
    )
    return f"""\
# Simulated responses, in the form of the Natural Scenes Dataset

No brain was measured for anything in this folder. It was made by
`neuroattn data simulate --size {made["size"]["name"]} --seed {made["seed"]} \
--subjects {made["subjects"]} --versions {",".join(made["size"]["versions"])} \
--experiments {",".join(made["size"]["experiments"]) or "none"}`:
{counts["images"]} images of {counts["scenes"]} composed scenes
({counts["unseen_images"]} images from held-out exemplars), {counts["sessions"]} sessions of 750
trials by subject. Files, keys, types, scales and index bases are NSD's; what differs:

{differences}

`truth/` holds what was planted: `scenes.tsv`, `things.tsv`, `masks.h5` (what is in each scene),
`images.tsv` (which scene each 73k id shows), `splits.json`, `rois.tsv`, `rules.json`, and by
subject `targets.tsv` (region, receptive field, ncsnr, ceiling of every target) and `truth.h5`
(weights, drift, noiseless responses, also of the further experiments, whose trials and
pictures stand in `synthetic.tsv` and `imagery.tsv`). A method that reads `truth/` has seen the
answer.
"""
