"""``python -m neuroattn.generators build|score|publish NAME``: make a model, judge it, ship it."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from neuroattn.core.errors import NeuroattnError
from neuroattn.core.process import settle
from neuroattn.generators.registry import MODELS

log = logging.getLogger("neuroattn.generators")


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    settle()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    arguments = _parser().parse_args(words)
    from neuroattn.generators import build

    try:
        for name in arguments.names:
            if arguments.action == "publish":
                build.publish(name, arguments.root)
                continue
            config = build.model_config(name, arguments.config)
            if arguments.action == "build":
                log.info("%s", build.build(name, arguments.root, config, arguments.device))
            else:
                build.score(name, arguments.root, config, arguments.device)
    except NeuroattnError as error:
        log.error("error: %s", error)  # noqa: TRY400
        return error.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m neuroattn.generators", description=__doc__)
    parser.add_argument("action", choices=["build", "score", "publish"])
    parser.add_argument("names", nargs="+", choices=list(MODELS), metavar="NAME")
    parser.add_argument("--root", type=Path, default=Path("outputs/models"))
    parser.add_argument("--config", type=Path, help="another file than workflows/models/NAME.yaml")
    parser.add_argument("--device", default="auto")
    return parser


if __name__ == "__main__":
    sys.exit(main())
