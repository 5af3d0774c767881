"""Variants: a run's own overrides with further ones, composed under the same checks."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from neuroattn.cli.compose import addressed, compose
from neuroattn.cli.variants import composer, searched
from neuroattn.core.errors import ConfigError, SecurityError
from neuroattn.encoding.registry import AttentionConfig, RidgeConfig
from tests.chain import neuroattn, words

RUN = ["dataset.root=here", "encoder=ridge", "encoder.n_alphas=5", "seed=3"]


def test_a_variant_sets_further_keys_over_those_of_the_run() -> None:
    made = composer(RUN)("encoder.n_alphas=7 'dataset.split.folds=2'")
    assert isinstance(made.encoder, RidgeConfig)
    assert (made.encoder.n_alphas, made.dataset.split.folds, made.seed) == (7, 2, 3)
    assert made.dataset.root == "here"


def test_a_variant_has_variants_of_its_own() -> None:
    made = composer(RUN)("seed=4").variant("encoder.n_alphas=7")
    assert (made.seed, made.encoder.n_alphas) == (4, 7)


def test_a_variant_may_choose_otherwise() -> None:
    made = composer(RUN[:2])("encoder=attention encoder.heads=1")
    assert isinstance(made.encoder, AttentionConfig)
    assert made.encoder.heads == 1


def test_a_composed_config_composes_its_variants_and_executes_them_as_itself(
    tmp_path: Path,
) -> None:
    line = "encoder=attention encoder.heads=1"
    run = compose(
        [*RUN[:2], f"compare.members.it's={line}".replace("it's", "a"), "claims.wait=false"]
    )
    assert run.compare.members == {"a": line}
    run.paths.root = str(tmp_path)
    made = run.variant(line)
    assert (made.encoder.name, made.paths.root, made.claims.wait) == (
        "attention",
        str(tmp_path),
        False,
    )
    made.encoder.heads = 5
    assert run.variant(line).encoder.heads == 1, "every caller has a copy"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("encoder=ridg", "encoder/ridg"),
        ("encoder.alphas=3", "no key encoder.alphas"),
        ("seed='open", "cannot be read"),
        ("hydra.run.dir=x", "its own result only"),
        ("+hydra.job.chdir=true", "its own result only"),
        ("compare.members={}", "its own result only"),
        ("paths.root=x", "its own result only"),
        ("seed=1,2", "[Aa]mbiguous|sweep"),
    ],
)
def test_what_does_not_compose_is_told(line: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        composer(RUN)(line)


def test_no_package_is_searched() -> None:
    with pytest.raises(SecurityError):
        composer(["hydra.searchpath=[pkg://os]"])("seed=1")
    words = ["hydra.searchpath=[file:///x]", "hydra.run.dir=y"]
    assert searched(words) == words[:1]


def test_values_that_are_overrides_are_quoted_for_hydra() -> None:
    words = [
        "compare.members.a=encoder=ridge x='1 2'",
        "compare.members.b='seed=1'",
        "use.prepare=x",
    ]
    assert addressed(words) == [
        r"++compare.members.a='encoder=ridge x=\'1 2\''",
        "++compare.members.b='seed=1'",
        "++use.prepare=x",
    ]
    assert addressed(["compare.members={a: 'seed=1'}"]) == ["++compare.members={a: 'seed=1'}"]
    assert addressed(["compare.reference=a", "user=1"]) == ["compare.reference=a", "user=1"]


@pytest.mark.parametrize("name", ["ridge+500", "ridge@s1", "ridge+500@s1"])
def test_a_curve_and_a_group_are_named_as_any_member(name: str) -> None:
    word = f"compare.members.{name}=encoder=ridge encoder.images=500"
    members = compose([word, "compare.members.other=seed=1"]).compare.members
    assert members == {name: "encoder=ridge encoder.images=500", "other": "seed=1"}
    assert addressed(addressed([word])) == addressed([word])


@pytest.mark.slow
def test_the_remedies_for_members_that_are_required_build_them(
    tiny_data: Path, all_root: Path
) -> None:
    member = "compare.members.own=encoder=ridge 'encoder.alpha_min=20'"
    run = words("compare", tiny_data, all_root, member, "parents=require")
    remedy = re.compile(r"run: neuroattn encode with the same overrides and then (.*), or set")
    for _ in range(3):  # members at most; a remedy that builds another one would come for ever
        if told := remedy.search(neuroattn(*run).err):
            assert neuroattn("encode", *run[1:], *shlex.split(told[1])).code == 0
    assert neuroattn(*run).code == 0
