"""`build.py contract`."""

from __future__ import annotations

from plumbum import cli

from deploy.bootstrap.entrypoint import write_output
from deploy.cli.stack_command import StackCommand
from deploy.stack import update_state
from deploy.update import contract
from deploy.upgrade import record


class Contract(StackCommand):
    """Remove database objects that only earlier versions need, unless such a version is kept."""

    drop_images = cli.Flag(
        "--drop-images",
        help="also remove kept images that need the former schema; they cannot be rolled back to",
    )
    without_backup_check = cli.Flag(
        "--without-backup-check", help="proceed without a recent backup and drill"
    )

    def main(self) -> int:
        """Run the contract step, and print which program versions work with the schema."""
        words = ["--drop-images"] if self.drop_images else []
        words += ["--without-backup-check"] if self.without_backup_check else []
        code = self.elsewhere("contract", words)
        if code is not None:
            return code
        with update_state.hold():
            record.refuse_interrupted()
            done = contract.contract(
                drops_images=bool(self.drop_images), checks_backups=not self.without_backup_check
            )
            write_output(f"{done}\n")
        return 0
