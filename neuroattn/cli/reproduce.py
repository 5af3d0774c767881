"""``neuroattn reproduce``: an experiment's chain, and its figures beside what to expect."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from neuroattn.core.errors import ConfigError
from neuroattn.pipeline.config import RootConfig

if TYPE_CHECKING:
    from neuroattn.pipeline.plan import Node

Compose = Callable[[Sequence[str]], RootConfig]


def reproduce(
    name: str, overrides: Sequence[str], compose: Compose, *, only_plan: bool = False
) -> int:
    """Run experiment ``name``; its result file is the last line on stdout.

    The exit code says whether it ran. Whether the figures are as expected, the file says.

    Raises
    ------
    ConfigError : there is no such experiment, or an override does not compose.
    """
    from neuroattn.cli.variants import searched
    from neuroattn.pipeline.plan import compose_cited, plan

    words = [f"experiment={name}"]
    shipped = compose([*words, *searched(overrides)])
    stage = shipped.published.stage
    if not shipped.published.about:
        raise ConfigError(
            f"the experiment {name} does not say what it reproduces",
            expected="published.about, published.stage and published.expected in its file",
            fix=f"run its stages: neuroattn encode experiment={name}",
        )
    config = compose([*words, *overrides, f"stage={stage}"])
    if only_plan:  # what it costs is asked before there are data and models, which a plan needs
        _show(config)
    compose_cited(stage, config)
    node = plan(stage, config)
    return _show_plan(node) if only_plan else _run(name, config, shipped, node)


def _show(config: RootConfig) -> None:
    from neuroattn.pipeline.reproduce import stated

    print(f"cost: {config.published.cost}")
    for need in config.published.needs:
        print(f"needs: {need.override}   {need.about}")
    for row in config.published.expected:
        whose = f" ({row.subject})" if row.subject else ""
        print(f"expected: {row.figure}{whose} {stated(vars(row))}, {row.certainty.value}")


def _show_plan(node: Node) -> int:
    from neuroattn.pipeline.status import plan_lines

    for line in plan_lines(node):
        print(line)
    return 0


def _run(name: str, config: RootConfig, shipped: RootConfig, node: Node) -> int:
    from neuroattn.cli.jobs import leave_on_sigterm
    from neuroattn.core.artefact import is_done
    from neuroattn.pipeline.build import build
    from neuroattn.pipeline.reproduce import outcome, table, write

    with leave_on_sigterm():
        if not is_done(node.folder):
            build(node)
    result = outcome(name, config, shipped, node)
    for line in table(result):
        print(line, file=sys.stderr)
    print(write(Path(config.paths.root), node, result))
    return 0
