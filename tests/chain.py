"""One tiny chain through the real command line: 24 small pictures, one layer, two folds."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

from neuroattn.cli.main import main

SIZE = (
    "backbone.image_size=64",
    "backbone.layers=[blocks.4]",
    "backbone.pool=2",
    "dataset.split.folds=2",
    "encoder.inner_folds=2",
    "encoder.n_alphas=3",
    "runtime.threads=1",
    "runtime.workers=1",
)


@dataclass(frozen=True)
class Ran:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def path(self) -> Path:
        """The last line of stdout."""
        return Path(self.out.strip().splitlines()[-1])


def neuroattn(*words: str) -> Ran:
    """Run the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(list(words))
        except SystemExit as leaving:
            code = int(leaving.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())


def words(stage: str, data: Path, root: Path, *more: str) -> list[str]:
    """The tiny command for ``stage``."""
    return [stage, f"dataset.root={data}", f"paths.root={root}", *SIZE, *more]


def payloads(root: Path) -> dict[str, dict[str, str]]:
    """Digests of every payload file of every finished artefact, as their provenance has them."""
    return {
        str(done.parent.relative_to(root)): {
            name: entry["sha256"]
            for name, entry in json.loads((done.parent / "provenance.json").read_text())[
                "payload"
            ].items()
        }
        for done in sorted(root.glob("*/*/DONE"))
    }
