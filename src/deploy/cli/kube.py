"""`build.py kube`: the manifest for Podman and Kubernetes, compiled from the units."""

from __future__ import annotations

from pathlib import Path

from plumbum import cli

from deploy.bootstrap.entrypoint import write_output
from deploy.errors import DeployError, ExitCode
from deploy.kube import files, loss_report, manifest
from deploy.units import loader
from deploy.units.compiler import compile_contract


class Kube(cli.Application):
    """Compile quadlet/ to kube/todo.yaml, for podman kube play and for Kubernetes."""

    check = cli.Flag("--check", help="Write nothing; fail with a diff when the file is stale")
    stdout = cli.Flag("--stdout", help="Print the manifest instead of writing the file")
    explain = cli.Flag(
        "--explain", help="Print what becomes of each unit key: honoured, emulated or lost"
    )
    secret = cli.SwitchAttr(
        "--secret", str, argname="FILE", help="Write a Secret with a random token secret, mode 0600"
    )
    secret_from = cli.SwitchAttr(
        "--secret-from",
        str,
        argname="FILE",
        requires=["--secret"],
        help="With --secret: take the token secret from this file",
    )

    def main(self) -> int:
        """Write the manifest, or do what the one switch asks for."""
        if sum(map(bool, (self.check, self.stdout, self.explain, self.secret))) > 1:
            message = "--check, --stdout, --explain and --secret exclude each other"
            raise DeployError(message, hint="give one of them", code=ExitCode.USAGE)
        units = loader.load_units()
        if self.explain:
            write_output(loss_report.render_report(units))
            return ExitCode.OK
        contract = compile_contract(units)
        if self.secret:
            source = self.secret_from
            value = files.read_secret(Path(source)) if source else files.make_secret()
            files.write_secret(manifest.render_secret(contract, value), Path(self.secret))
            write_output(f"{self.secret}: play or apply it before kube/todo.yaml\n")
            return ExitCode.OK
        text = manifest.render_manifest(contract)
        if self.stdout:
            write_output(text)
        elif self.check:
            _compare(text)
        else:
            changed = files.write_manifest(text)
            write_output(f"kube/todo.yaml: {'written' if changed else 'up to date'}\n")
        return ExitCode.OK


def _compare(text: str) -> None:
    """Print how the file differs.

    Raises:
        DeployError: It does.
    """
    diff = list(files.diff_manifest(text))
    if diff:
        write_output("\n".join(diff) + "\n")
        message = "kube/todo.yaml is not what quadlet/ says"
        raise DeployError(message, hint="run: python3 build.py kube", code=ExitCode.DATA)
