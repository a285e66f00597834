"""`build.py kube`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from plumbum import cli

from deploy.bootstrap.entrypoint import write_output
from deploy.errors import DeployError, ExitCode
from deploy.kube import files, loss_report, manifest
from deploy.units import loader

if TYPE_CHECKING:
    from collections.abc import Mapping

_FILES = {files.MANIFEST: False, files.AI_MANIFEST: True}
"""Manifest -> whether it includes the local model."""


class Kube(cli.Application):
    """Compile quadlet/ to kube/todo.yaml, for podman kube play and for Kubernetes.

    Also compile kube/todo-ai.yaml, which includes the local model.
    """

    check = cli.Flag("--check", help="do not write; fail with a diff if a file is stale")
    stdout = cli.Flag("--stdout", help="print the manifest instead of writing the files")
    ai = cli.Flag(
        "--ai", requires=["--stdout"], help="with --stdout: the manifest with the local model"
    )
    explain = cli.Flag(
        "--explain", help="print how each unit key is converted: honored, emulated or lost"
    )
    secret = cli.SwitchAttr(
        "--secret", str, argname="FILE", help="write a Secret with a random token secret, mode 0600"
    )
    secret_from = cli.SwitchAttr(
        "--secret-from",
        str,
        argname="FILE",
        requires=["--secret"],
        help="with --secret: read the token secret from this file",
    )

    def main(self) -> int:
        """Write the manifests, or run the action of a switch."""
        if sum(map(bool, (self.check, self.stdout, self.explain, self.secret))) > 1:
            message = "--check, --stdout, --explain and --secret are mutually exclusive"
            raise DeployError(message, hint="use one of them", code=ExitCode.USAGE)
        if self.explain:
            write_output(loss_report.render_report(loader.load_units(ai=True)))
            return ExitCode.OK
        if self.secret:
            source = self.secret_from
            value = files.read_secret(Path(source)) if source else files.make_secret()
            text = manifest.render_secret(loader.load_contract(), value)
            files.write_secret(text, Path(self.secret))
            write_output(f"{self.secret}: apply it before kube/todo.yaml\n")
            return ExitCode.OK
        if self.stdout:
            write_output(_render(ai=bool(self.ai)))
            return ExitCode.OK
        # Render both before writing either.
        texts = {path: _render(ai=ai) for path, ai in _FILES.items()}
        if self.check:
            _compare(texts)
            return ExitCode.OK
        for path, text in texts.items():
            changed = files.write_manifest(text, path)
            write_output(f"kube/{path.name}: {'written' if changed else 'up to date'}\n")
        return ExitCode.OK


def _render(*, ai: bool) -> str:
    return manifest.render_manifest(loader.load_contract(ai=ai))


def _compare(texts: Mapping[Path, str]) -> None:
    """Print how stale files differ from these texts, and raise DeployError if there are any."""
    diffs = {path: list(files.diff_manifest(text, path)) for path, text in texts.items()}
    stale = [path for path, diff in diffs.items() if diff]
    for path in stale:
        write_output("\n".join(diffs[path]) + "\n")
    if stale:
        message = f"kube/{stale[0].name} is out of date with quadlet/"
        raise DeployError(message, hint="run: python3 build.py kube", code=ExitCode.DATA)
