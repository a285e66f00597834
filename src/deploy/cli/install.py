"""`build.py install`."""

from __future__ import annotations

from deploy.bootstrap.entrypoint import write_output
from deploy.cli.start_command import StartCommand
from deploy.image import build
from deploy.stack import in_lab, up, update_state
from deploy.update import begin


class Install(StartCommand):
    """Install images, secret and units, ready for `systemctl --user start todo-backend`."""

    def main(self) -> int:
        """Install the stack, and print the changed units."""
        self.check_switches()
        # Refuse: `install` must not start a lab that the user did not request.
        in_lab.find(no_lab=True)
        options = build.Options(builder=self.builder)
        with update_state.hold():
            begin.recover()
            begin.refuse_checkout()
            changed = up.install(
                options,
                port=self.port,
                ai=self.request(),
                number=self.instances,
                backup=self.backup_request(),
                updates=self.wants_update_timer(),
                assume_yes=bool(self.assume_yes),
            )
        write_output(f"changed: {', '.join(sorted(changed)) or 'nothing'}\n")
        return 0


Install.unbind_switches("--lab")
