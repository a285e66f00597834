"""A Chromium without windows, steered through a pair of pipes (Chrome DevTools Protocol)."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from deploy.dev import suite_programs
from tests.machine_clock import wait_until

_TIMEOUT_S = 120
# What Chromium says of an expression whose page went away meanwhile.
_NAVIGATED = ("Inspected target navigated", "context was destroyed", "context with specified id")
# Chromium reads commands from descriptor 3 and writes answers to 4.
_START = """
import os, sys
commands, answers = (os.dup2(int(number), 100 + n) for n, number in enumerate(sys.argv[1:3]))
os.dup2(commands, 3)
os.dup2(answers, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class NavigatedError(RuntimeError):
    """The page was left while the browser evaluated an expression in it."""


class Browser:
    """One page of a browser."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = answers
        self._buffer = b""
        self._number = 0
        self._session = ""
        self.complaints: list[str] = []
        """What the console holds: refused by the page's policy, or failed in a script."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Log", "Runtime", "Page", "Network"):
            self._call(f"{domain}.enable")
        self.requested: list[str] = []

    def open(self, address: str) -> None:
        """Load a page."""
        self._call("Page.navigate", url=address)

    def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - whatever JavaScript has
        """Return the value of an expression of JavaScript."""
        found = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        return found["result"].get("value")

    def wait_for(self, expression: str) -> Any:  # noqa: ANN401 - whatever JavaScript has
        """Wait until an expression is true, and return it."""

        def explain() -> str:
            return f"{self.complaints}; {self.evaluate('document.body.innerText')}"

        def evaluate() -> Any:  # noqa: ANN401 - as above
            try:
                return self.evaluate(expression)
            except NavigatedError:
                # Of the page that a click has just left; the next one is asked again.
                return None

        return wait_until(evaluate, expression, within_s=_TIMEOUT_S, explain=explain)

    def click(self, selector: str) -> None:
        """Click an element, as soon as it is there; it gets the focus, as from a mouse."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.wait_for(f"{found} !== null")
        self.evaluate(f"{found}.focus({{preventScroll: true}}); {found}.click()")

    def fill(self, selector: str, text: str) -> None:
        """Type a text into a field."""
        self.wait_for(f"document.querySelector({json.dumps(selector)}) !== null")
        self.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")
        self._call("Input.insertText", text=text)

    def wait_for_promise(self, expression: str) -> Any:  # noqa: ANN401 - whatever JavaScript has
        """Return what a promise becomes."""
        options = {"returnByValue": True, "awaitPromise": True}
        return self._call("Runtime.evaluate", expression=expression, **options)["result"]["value"]

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key: its name, its number, and the text that it types."""
        names = {"key": key, "code": key, "windowsVirtualKeyCode": code, "text": text}
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, **names)

    def set_window(self, width: int, height: int, *, scale: float = 1) -> None:
        """Set the size of the window; `scale` is the zoom of a display, not of the page."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", **size)

    def prefer(self, **features: str) -> None:
        """Set what the person prefers, as in `prefers_color_scheme="dark"`."""
        media = [{"name": k.replace("_", "-"), "value": value} for k, value in features.items()]
        self._call("Emulation.setEmulatedMedia", features=media)

    def cut_off(self, *, is_offline: bool) -> None:
        """Take the network away, or give it back."""
        speed = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self._call("Network.emulateNetworkConditions", offline=is_offline, **speed)

    def capture(self) -> bytes:
        """Return a picture of the window (PNG)."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def _call(self, method: str, **parameters: object) -> dict[str, Any]:
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        pending = json.dumps(message).encode() + b"\0"
        while pending:
            # A signal ends the write of what is larger than the pipe before its end.
            pending = pending[os.write(self._commands, pending) :]
        while (answer := self._read()).get("id") != self._number:
            self._note(answer)
        if "error" in answer:
            left = any(each in answer["error"]["message"] for each in _NAVIGATED)
            raise (NavigatedError if left else RuntimeError)(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            chunk = os.read(self._answers, 65536)
            if not chunk:
                raise ConnectionError("the browser ended")
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        match event.get("method"):
            case "Log.entryAdded":
                self.complaints.append(parameters["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.complaints.append(parameters["exceptionDetails"]["text"])
            case "Runtime.consoleAPICalled" if parameters["type"] in {"error", "warning"}:
                self.complaints.append(str(parameters["args"]))
            case "Network.requestWillBeSent":
                self.requested.append(parameters["request"]["url"])


@contextlib.contextmanager
def open_browser() -> Iterator[Browser]:
    """Run a browser for the length of the block."""
    program = suite_programs.find_browser()
    if program is None:
        raise FileNotFoundError("no Chromium here: python3 build.py test integration installs it")
    # A namespace of its own is refused to root, and in most containers; the page is ours.
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    with contextlib.ExitStack() as stack:
        profile = tempfile.mkdtemp(prefix="todo-browser-")
        stack.callback(shutil.rmtree, profile, ignore_errors=True)
        their_commands, commands = os.pipe()
        answers, their_answers = os.pipe()
        stack.callback(os.close, commands)
        stack.callback(os.close, answers)
        argv = [str(program), *options, "--remote-debugging-pipe", f"--user-data-dir={profile}"]
        process = subprocess.Popen(
            [sys.executable, "-c", _START, str(their_commands), str(their_answers), *argv],
            pass_fds=(their_commands, their_answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": profile},
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        os.close(their_commands)
        os.close(their_answers)
        yield Browser(commands, answers)
