"""Base class of the commands that create a stack from a checkout, `install` and `up`."""

from __future__ import annotations

from pathlib import Path

from plumbum import cli

from deploy.cli.command import usage
from deploy.cli.stack_command import StackCommand
from deploy.stack import backups, local_model


class StartCommand(StackCommand):
    """A command that builds and installs the stack."""

    port = cli.SwitchAttr("--port", cli.Range(1, 65535), help="loopback port of the public API")
    instances = cli.SwitchAttr(
        "--instances", cli.Range(1, 8), help="number of backend instances; later runs keep it"
    )
    builder = cli.SwitchAttr("--builder", str, help="base image of the build stages")
    assume_yes = cli.Flag("--yes", help="install missing Debian packages")
    ai = cli.Flag("--ai", help="run a local language model; later runs keep it")
    no_ai = cli.Flag("--no-ai", help="stop the local language model and delete its copy")
    model = cli.SwitchAttr(
        "--model",
        Path,
        argname="FILE",
        help="with --ai: GGUF file of the model, instead of the small default",
    )
    sha256 = cli.SwitchAttr(
        "--sha256", str, argname="HEX", help="with --model: expected SHA-256 of the file"
    )

    backup = cli.Flag("--backup", help="make daily backups and archive WAL; later runs keep it")
    no_backup = cli.Flag("--no-backup", help="stop making backups; existing backups are kept")
    backup_folder = cli.SwitchAttr(
        "--backup-folder",
        Path,
        argname="DIR",
        help="with --backup: backup folder, instead of ~/.local/share/todo-backend/backup",
    )

    update_timer = cli.Flag("--update-timer", help="update every night; later runs keep it")
    no_update_timer = cli.Flag("--no-update-timer", help="stop updating every night")

    def check_switches(self) -> None:
        """Raise DeployError if the switches of optional parts conflict."""
        program = str(self.PROGNAME)
        if self.no_ai and (self.ai or self.model):
            raise usage("--ai and --no-ai are mutually exclusive", program)
        if (self.model or self.sha256) and not self.ai:
            raise usage("--model and --sha256 require --ai", program)
        if bool(self.model) != bool(self.sha256):
            raise usage(
                "--model requires --sha256 and vice versa: the file is verified before it is used",
                program,
            )

        if self.backup and self.no_backup:
            raise usage("--backup and --no-backup are mutually exclusive", program)
        if self.backup_folder and not self.backup:
            raise usage("--backup-folder requires --backup", program)
        if self.update_timer and self.no_update_timer:
            raise usage("--update-timer and --no-update-timer are mutually exclusive", program)

    def wants_update_timer(self) -> bool | None:
        """Return whether the update timer is requested; None if unspecified."""
        given = self.update_timer or self.no_update_timer
        return bool(self.update_timer) if given else None

    def backup_request(self) -> backups.Request:
        """Return the options of backups.

        Raises:
            DeployError: The folder cannot be used.
        """
        wanted = bool(self.backup) if self.backup or self.no_backup else None
        if not self.backup_folder:
            return backups.Request(wanted)
        folder = Path(self.backup_folder).expanduser().absolute()
        return backups.Request(wanted, backups.check_folder(folder))

    def request(self) -> local_model.Request:
        """Return the options of the local model, after verifying its file.

        Raises:
            DeployError: The file is unusable, or its SHA-256 differs.
        """
        wanted = bool(self.ai) if self.ai or self.no_ai else None
        if not self.model:
            return local_model.Request(wanted)
        path = Path(self.model).expanduser().absolute()
        return local_model.Request(wanted, local_model.check_file(path, str(self.sha256)))
