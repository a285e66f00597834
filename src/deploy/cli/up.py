"""`build.py up`."""

from __future__ import annotations

from pathlib import Path

from plumbum import cli

from deploy import command_hints, progress
from deploy.bootstrap.entrypoint import write_output
from deploy.cli.start_command import StartCommand
from deploy.image import build
from deploy.scan import up_notice
from deploy.stack import status, up, update_state
from deploy.update import begin
from deploy.upgrade import interruption


class Up(StartCommand):
    """Build stale images, install and start the stack, and wait until the backend is ready."""

    image_cache = cli.SwitchAttr("--image-cache", Path, help="cache folder of finished images")

    def main(self) -> int:
        """Start the stack, and print its addresses."""
        self.check_switches()
        lab = self.trial()
        if lab is not None:
            words = [f"--builder={self.builder}"] if self.builder else []
            words += [f"--instances={self.instances}"] if self.instances else []
            words += ["--update-timer"] if self.update_timer else []
            words += ["--no-update-timer"] if self.no_update_timer else []
            backup = self.backup_request()
            return lab.up(words, port=self.port, ai=self.request(), backup=backup)
        options = build.Options(builder=self.builder, archive_dir=self.image_cache)
        with update_state.hold():
            begin.recover()
            interruption.end_refusal()
            begin.refuse_checkout(starts=True)
            url = up.up(
                options,
                port=self.port,
                ai=self.request(),
                number=self.instances,
                backup=self.backup_request(),
                updates=self.wants_update_timer(),
                assume_yes=bool(self.assume_yes),
            )
        timings = progress.TIMINGS.render()
        write_output(f"{timings}\n\n{render(url, status.find_management())}")
        # The addresses are printed first, because this notice may take a while.
        warning = up_notice.find_in_time(self.builder)
        if warning:
            progress.say(warning)
        return 0


def render(url: str, management: str | None) -> str:
    """Render the closing lines: the public and the management address, and the next commands."""
    lines = [f"The backend answers at {url}"]
    if management is not None:
        lines.append(f"Health and metrics:  {management}")
    lines.append(f"Token for a user:    {command_hints.build('token alice')}")
    lines.append(f"Status:              {command_hints.build('status')}")
    return "\n".join([*lines, ""])
