"""Server process, `python -m todo`: serves inherited or new sockets until a signal stops it."""

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
from functools import partial
from typing import Any

from todo import __version__
from todo.api.management import Management
from todo.app import Application, create_app
from todo.assistant.model.key import read_model_key
from todo.auth.authenticator import open_tokens
from todo.config.addresses import Address
from todo.config.settings import Settings, in_container, load_settings
from todo.core.errors import SchemaMismatchError
from todo.core.exit import ExitCode, FatalError, report_fatal
from todo.db.migrate import DatabaseUnreachableError, migrate
from todo.observability.health import Health
from todo.observability.logs import set_up_logging
from todo.observability.loop_lag import watch_loop
from todo.observability.tracing import Spans, open_telemetry
from todo.server.accept_gate import AcceptGate
from todo.server.allocator import map_large_blocks
from todo.server.listener import Listener
from todo.server.loop_heartbeat import LoopHeartbeat
from todo.server.sd_notify import notify
from todo.server.self_test import run_self_test
from todo.server.siblings import Siblings
from todo.server.sockets import Listeners, open_listeners, unlink_own

# Time for writing a warning after the deadline.
_LAST_LINE_S = 0.5
# Longer than the usual idle timeout of proxies (60 s), so that the proxy closes first.
_KEEP_ALIVE_S = 75
# Time for which idle connections stay open when the server stops, if other instances serve.
_LAST_REQUEST_S = 1.0
_RETRY_S = 1.0
_NOTIFY_POLL_S = 0.1
# Requests wait for the migration of the embedded database, but no longer than this.
_SQLITE_MIGRATION_S = 10
# Time before the deadline that is reserved for closing the pool and the loop.
_CLOSING_S = 0.5

# Descriptors reserved for the pool, the change feed, files, key sets, metrics and the probe.
_RESERVED_FILES = 256

_log = logging.getLogger("todo.server")


def main() -> int:
    """Run the server; return the exit code."""
    map_large_blocks()
    try:
        settings = load_settings()
        set_up_logging(settings.log_level)
        # Read only to report errors now; the key itself is needed later.
        read_model_key(settings)
        tokens = open_tokens(settings, create=not in_container(os.environ))
        app = create_app(settings, tokens)
        telemetry = open_telemetry(os.environ)
        if telemetry:
            app.add_middleware(Spans, telemetry=telemetry)
        listeners = open_listeners(settings, os.environ)
        asyncio.run(_serve(app, settings, listeners))
        if telemetry:
            telemetry.close()
    except FatalError as error:
        return report_fatal(error)
    except Exception as error:  # noqa: BLE001 - the boundary: any failure is one line
        _log.debug("fatal", exc_info=True)
        message = f"internal error, please report it: {type(error).__name__}: {error}"
        return report_fatal(FatalError(ExitCode.INTERNAL, message))
    return ExitCode.OK


async def _serve(app: Application, settings: Settings, listeners: Listeners) -> None:
    health = app.state.health
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_loop_error)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    probe_inode = os.stat(listeners.probe[0].getsockname()).st_ino  # noqa: PTH116
    counter = LoopHeartbeat(listeners.probe[0].getsockname())
    probes = Management(health, None)
    make_listener = partial(Listener, keep_alive_s=_KEEP_ALIVE_S)
    public = make_listener(app, listeners.public, max_connections=_find_max_connections())
    management = make_listener(Management(health, app.state.metrics), listeners.management)
    probe = make_listener(probes, listeners.probe)
    gate = _open_gate(app, public, settings)
    async with app.router.lifespan_context(app), asyncio.TaskGroup() as tasks:
        background = []
        # Started before a possibly long migration, so that the probe sees a starting server.
        counter.start()
        await probe.start()
        if settings.database_migrate == "startup":
            migration = tasks.create_task(_migrate(settings))
            background.append(migration)
            if app.state.database.is_sqlite:
                await asyncio.wait({migration}, timeout=_SQLITE_MIGRATION_S)
        for listener in (management, public):
            await listener.start()
        health.listening = True
        _log.info("listening", extra=_describe(listeners))
        works = [
            _announce(health),
            watch_loop(app.state.metrics.observe_loop_lag),
            app.state.reminders.run(),
            app.state.last_use.run(),
            *([gate.run()] if gate else []),
        ]
        background += map(tasks.create_task, works)
        # Existing objects live as long as the process: the garbage collector can skip them.
        gc.freeze()
        gc.enable()
        await stop.wait()
        deadline = time.monotonic() + settings.shutdown_deadline_s
        _arm_deadline(settings.shutdown_deadline_s)
        health.stopping = True
        app.state.feed.stop()
        app.state.live.stop()
        app.state.turns.stop()
        public.stop_accepting()
        management.stop_accepting()
        notify("STOPPING=1")
        _log.info("stopping")
        for task in background:
            task.cancel()
        drained_by = deadline - _CLOSING_S
        idle_s = _LAST_REQUEST_S if gate and gate.is_replaced() else 0.0
        draining = public.drain(drained_by, idle_s=idle_s), management.drain(drained_by)
        await asyncio.gather(*draining)
        unlink_own(listeners.probe[0], probe_inode)
        await probe.drain(drained_by)
        counter.close()
    _log.info("stopped")


def _open_gate(app: Application, public: Listener, settings: Settings) -> AcceptGate | None:
    if settings.instance_file is None:
        return None
    siblings = Siblings(settings.instance_file)
    self_test = partial(run_self_test, app.state.database)
    return AcceptGate(public, app.state.health, siblings, self_test)


def _find_max_connections() -> int:
    """Return the number of public connections that leaves file descriptors for everything else.

    Without a free descriptor the health probe would fail, and the service would be restarted.
    """
    limit, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return sys.maxsize
    return max(limit - _RESERVED_FILES, limit // 2)


async def _announce(health: Health) -> None:
    """Notify the service manager once the process has started."""
    reason = ""
    while problem := await health.find_problem("startupz"):
        if problem.detail != reason and isinstance(problem, SchemaMismatchError):
            reason = problem.detail
            _log.warning("not ready: %s Run `python3 -m todo.admin migrate`.", reason)
        await asyncio.sleep(_NOTIFY_POLL_S)
    notify("READY=1")
    _log.info("started", extra={"version": __version__})


async def _migrate(settings: Settings) -> None:
    """Upgrade the schema as soon as the database is reachable."""
    reason = ""
    while True:
        try:
            found = await asyncio.to_thread(migrate, settings, _log.warning)
        except DatabaseUnreachableError as error:
            message = f"waiting for the database before the migration: {error}"
        except FatalError as error:
            _log.critical("%s", error.message)
            return
        else:
            _log.info("the schema is up to date", extra={"revision_before": found or "none"})
            return
        if message != reason:
            reason = message
            _log.warning("%s", message)
        await asyncio.sleep(_RETRY_S)


def _arm_deadline(seconds: float) -> None:
    """End the process at the deadline, even if the event loop is blocked."""

    def end() -> None:
        with contextlib.suppress(Exception):
            _log.warning("shutdown deadline reached; ending with requests in progress")
        os._exit(ExitCode.OK)

    # A second timer, in case the first blocks while writing the log.
    last = threading.Timer(seconds + _LAST_LINE_S, os._exit, [ExitCode.OK])
    for timer in (threading.Timer(seconds, end), last):
        timer.daemon = True
        timer.start()


def _describe(listeners: Listeners) -> dict[str, list[str]]:
    return {
        name: [str(_address_of(listener)) for listener in getattr(listeners, name)]
        for name in ("public", "management", "probe")
    }


def _address_of(listener: socket.socket) -> Address:
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return Address(path=os.fsdecode(name))
    return Address(host=name[0], port=name[1])


def _log_loop_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    _log.error("%s", context.get("message"), exc_info=context.get("exception"))
