"""``neuroattn data plan | verify | lock | download``: files of a dataset, listed and checked."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from neuroattn.core.errors import EXIT_FAILED
from neuroattn.core.resources import user_path
from neuroattn.data.folders import target_folder
from neuroattn.data.manifests.load import load_manifest, manifests
from neuroattn.data.manifests.plan import (
    Plan,
    PlannedFile,
    Total,
    commands,
    human,
    make_plan,
    total,
)
from neuroattn.data.manifests.schema import FileEntry

ABOUT = {
    "plan": "list the files of a dataset, what is there, and how to get the rest",
    "download": "fetch a subset (needs --accept-terms); an interrupted run is continued",
    "verify": "check the files that are there; exit 1 if anything is wrong",
    "lock": "record SHA-256 and size of every file that is there",
}


def run(action: str, words: list[str]) -> int:
    """Run ``neuroattn data <action>``; returns its exit code."""
    parser = argparse.ArgumentParser(prog=f"neuroattn data {action}", description=ABOUT[action])
    parser.add_argument("dataset", help=" | ".join(manifests()))
    parser.add_argument("--subset", help="a named choice of files; the plan lists them")
    parser.add_argument(
        "--subject", action="append", default=[], help="keep this one (again for more)"
    )
    _ARGUMENTS[action](parser)
    return _ACTIONS[action](parser.parse_args(words))


def _root(
    parser: argparse.ArgumentParser, *, required: bool, kind: Callable[[str], Path] = user_path
) -> None:
    # A shell expands ~ after a space, and leaves it after =.
    parser.add_argument("--root", type=kind, required=required, help="folder of the dataset")


def _workers(parser: argparse.ArgumentParser) -> None:
    count = min(4, os.cpu_count() or 1)
    parser.add_argument("--workers", type=int, default=count, help=f"at once ({count})")


def _plan_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stage", help="only what this stage needs")
    parser.add_argument("--files", action="store_true", help="one line per file, not per group")
    _root(parser, required=False)


def _plan(arguments: argparse.Namespace) -> int:
    plan = make_plan(
        load_manifest(arguments.dataset),
        subset=arguments.subset,
        subjects=arguments.subject,
        stage=arguments.stage,
        root=arguments.root,
    )
    _print_terms(plan)
    for name, files in plan.groups():
        print(_group_line(name, files, plan.root is not None))
        if arguments.files:
            for file in files:
                print(_file_line(file, plan.root is not None))
    _print_sums(plan)
    _print_commands(plan, arguments)
    return 0


def _print_terms(plan: Plan) -> None:
    manifest = plan.manifest
    rows = {
        "dataset": f"{manifest.title}; {manifest.version}",
        "licence": f"{manifest.licence}; redistribution {manifest.redistribution}",
        "terms": manifest.terms,
        "agreement": manifest.agreement,
        "citation": manifest.citation,
        "digests": manifest.digests,
        "subsets": ", ".join(manifest.subsets),
        "subset": f"{plan.subset.name}: {plan.subset.about}" if plan.subset else "all",
    }
    for key, text in rows.items():
        print(f"{key + ':':<11} {' '.join(text.split())}")
    print()


def _group_line(name: str, files: list[PlannedFile], held: bool) -> str:
    entries = [file.entry for file in files]
    needed = "" if entries[0].needed else " (optional)"
    state = f"{sum(not file.is_missing for file in files)} there" if held else ""
    counted = f"{len(files)} files" if len(files) > 1 else entries[0].path
    return f"{name:<32} {_size(total(entries)):>24}  {state:<9} {counted}{needed}".rstrip()


def _file_line(file: PlannedFile, held: bool) -> str:
    state = ("missing" if file.is_missing else human(file.present_bytes)) if held else ""
    return f"    {state:<9} {_size(total([file.entry])):>22}  {file.entry.path}"


def _size(sum_: Total) -> str:
    return str(sum_) if sum_.unknown == 0 or sum_.bytes else "unknown"


def _print_sums(plan: Plan) -> None:
    print()
    print(f"{'all:':<11} {len(plan.files)} files, {total(file.entry for file in plan.files)}")
    if plan.subset:
        for stages, mine in _by_needs(plan).items():
            print(f"{', '.join(stages)}: {len(mine)} files, {total(mine)}")
    if plan.root is not None:
        there = sum(file.present_bytes for file in plan.files)
        count = len(plan.files) - len(plan.missing)
        print(f"{'there:':<11} {count} files, {human(there)}")
        print(f"{'missing:':<11} {len(plan.missing)} files, {total(plan.missing)}")


def _by_needs(plan: Plan) -> dict[tuple[str, ...], list[FileEntry]]:
    """Files that stages need; stages that need the same stand together."""
    needs: dict[tuple[str, ...], list[str]] = {}
    subset = plan.subset
    for stage in subset.stages if subset else ():
        ids = tuple(sorted(subset.needs(stage))) if subset else ()
        needs.setdefault(ids, []).append(stage)
    return {
        tuple(stages): [file.entry for file in plan.files if file.entry.id in ids]
        for ids, stages in needs.items()
    }


def _print_commands(plan: Plan, arguments: argparse.Namespace) -> None:
    if not plan.missing:
        return
    what = "the rest" if plan.root else "them"
    print(f"\nHow to get {what}: {' '.join(plan.manifest.obtain.split())}")
    if plan.manifest.agreement != "none":
        print(f"First read {plan.manifest.terms} and send the form {plan.manifest.agreement}")
    for command in commands(plan):
        print(f"  {command}")
    if plan.manifest.source:
        words = ["neuroattn", "data", "download", arguments.dataset]
        words += ["--subset", arguments.subset] if arguments.subset else []
        for subject in arguments.subject:
            words += ["--subject", subject]
        words += ["--root", str(plan.root or "DIR"), "--accept-terms"]
        print("or, with the extra neuroattn[s3], after the terms were accepted:")
        print(f"  {shlex.join(words)}")


def _download_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stage", help="only what this stage needs")
    parser.add_argument("--accept-terms", action="store_true", help="you accept the terms")
    parser.add_argument("--source", help="another base address: s3://, https:// or a folder")
    parser.add_argument("--endpoint", help="address of another server that speaks S3")
    parser.add_argument("--lock", type=user_path, help="lock with the digests to demand")
    _root(parser, required=True, kind=target_folder)
    _workers(parser)


def _download(arguments: argparse.Namespace) -> int:
    from neuroattn.data.manifests.download import download, open_source, require_terms
    from neuroattn.data.manifests.lock import read_lock

    manifest = load_manifest(arguments.dataset)
    require_terms(manifest, accepted=arguments.accept_terms)
    plan = make_plan(
        manifest,
        subset=arguments.subset,
        subjects=arguments.subject,
        stage=arguments.stage,
        root=arguments.root,
    )
    source = open_source(
        arguments.source or manifest.source,
        anonymous=manifest.anonymous,
        endpoint=arguments.endpoint,
    )
    locked = read_lock(arguments.lock).files if arguments.lock else {}
    known = {name: digest.sha256 for name, digest in locked.items()}
    wanted = [file.entry for file in plan.files if file.is_missing or file.entry.is_group]
    fetched = download(source, wanted, arguments.root, digests=known, workers=arguments.workers)
    print(f"{len(fetched)} files fetched into {arguments.root}")
    return 0


def _verify_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lock", type=user_path, help="the lock; DIR/locks/<dataset>.json if it is there"
    )
    parser.add_argument("--structure", action="store_true", help="also of files that are locked")
    _root(parser, required=True)
    _workers(parser)


def _verify(arguments: argparse.Namespace) -> int:
    from neuroattn.data.manifests.lock import lock_path, read_lock
    from neuroattn.data.manifests.verify import Report, verify

    path = arguments.lock or lock_path(arguments.root, arguments.dataset)
    locked = read_lock(path) if arguments.lock or path.is_file() else None
    report: Report = verify(
        arguments.dataset,
        arguments.root,
        subset=arguments.subset,
        subjects=tuple(arguments.subject),
        lock=locked,
        structure=locked is None or arguments.structure,
        workers=arguments.workers,
    )
    for finding in report.findings:
        print(finding)
    counted = f"{report.files} files, {human(report.bytes)}, {report.locked} of them by digest"
    if report.findings:
        print(f"{len(report.findings)} findings in {counted}", file=sys.stderr)
        return EXIT_FAILED
    print(f"OK: {counted}")
    return 0


def _lock_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lock", type=user_path, help="where to write; DIR/locks/<dataset>.json")
    parser.add_argument("--renew", action="store_true", help="replace digests that differ")
    parser.add_argument(
        "--unverified", action="store_true", help="do not check the structure first"
    )
    _root(parser, required=True)
    _workers(parser)


def _lock(arguments: argparse.Namespace) -> int:
    from neuroattn.data.manifests.locking import lock

    path, count, findings = lock(
        arguments.dataset,
        arguments.root,
        path=arguments.lock,
        subset=arguments.subset,
        subjects=tuple(arguments.subject),
        renew=arguments.renew,
        check=not arguments.unverified,
        workers=arguments.workers,
    )
    for finding in findings:
        print(finding)
    if findings:
        print(f"{len(findings)} findings; nothing was locked", file=sys.stderr)
        return EXIT_FAILED
    print(f"{count} files locked in {path}")
    return 0


_ARGUMENTS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "plan": _plan_arguments,
    "download": _download_arguments,
    "verify": _verify_arguments,
    "lock": _lock_arguments,
}
_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "plan": _plan,
    "download": _download,
    "verify": _verify,
    "lock": _lock,
}
