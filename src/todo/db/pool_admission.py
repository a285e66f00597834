"""Admission to the connection pool: FIFO with a bounded wait queue, and a share for each account.

An account with a locked row or slow queries holds each of its connections until a timeout. So one
account has only a share of the pool; its other requests wait without a connection.
"""

import asyncio
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Protocol


class Waiter(Protocol):
    """Object that is notified while its task waits for a slot of an account."""

    waits_for_account: bool


WAITER: ContextVar[Waiter | None] = ContextVar("waiter", default=None)
"""Client connection whose request the current task serves."""


class PoolExhaustedError(Exception):
    """No slot became free in time, or too many tasks already wait."""


class AccountBusyError(Exception):
    """An account has used up its share of connections: wait without one, then retry."""

    def __init__(self, account: str) -> None:
        super().__init__(f"{account} already uses its share of the connections")
        self.account = account


class PoolGate:
    """Fixed number of slots for tasks, acquired in FIFO order.

    SQLAlchemy's asyncio queue moves a task that was woken too late back to the end, so under load,
    some tasks would wait for many later ones. Excess tasks are rejected immediately.
    """

    def __init__(self, places: int, *, max_waiting: int, timeout_s: float) -> None:
        self._free = asyncio.Semaphore(places)
        self._max_waiting = max_waiting
        self._timeout_s = timeout_s
        self.waiting = 0

    async def take(self) -> None:
        """Acquire a slot; `leave` releases it.

        Raises:
            PoolExhaustedError: No connection became free in time, or too many tasks wait.
        """
        if not self._free.locked():
            await self._free.acquire()
            return
        if self.waiting >= self._max_waiting:
            raise PoolExhaustedError
        self.waiting += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._free.acquire()
        except TimeoutError:
            raise PoolExhaustedError from None
        finally:
            self.waiting -= 1

    def leave(self) -> None:
        """Release a slot."""
        self._free.release()


class AccountGate:
    """Fixed number of slots for the sessions of each account; the limits are per account."""

    def __init__(self, places: int, *, max_waiting: int, timeout_s: float) -> None:
        self._places = places
        self._max_waiting = max_waiting
        self._timeout_s = timeout_s
        self._gates: dict[str, PoolGate] = {}
        self._users: dict[str, int] = {}

    async def admit(self, accounts: Iterable[str]) -> "Admission":
        """Acquire a slot of each account.

        Raises:
            PoolExhaustedError: No slot became free in time, or too many sessions wait.
        """
        admission = Admission(self)
        try:
            # In a fixed order, which prevents deadlocks.
            for account in sorted(set(accounts)):
                await self.enter(account)
                admission.accounts.append(account)
        except BaseException:
            admission.leave()
            raise
        return admission

    async def enter(self, account: str) -> None:
        """Acquire a slot of an account; `leave` releases it.

        Raises:
            PoolExhaustedError: No slot became free in time, or too many sessions wait.
        """
        users = self._users.get(account, 0)
        if users == 0:
            self._gates[account] = PoolGate(
                self._places, max_waiting=self._max_waiting, timeout_s=self._timeout_s
            )
        self._users[account] = users + 1
        waiter = WAITER.get() if users >= self._places else None
        try:
            if waiter is not None:
                waiter.waits_for_account = True
            await self._gates[account].take()
        except BaseException:
            self._forget(account)
            raise
        finally:
            if waiter is not None:
                waiter.waits_for_account = False

    def is_full(self, account: str) -> bool:
        """Return whether another session of the account would have to wait."""
        return self._users.get(account, 0) >= self._places

    def leave(self, account: str) -> None:
        """Release a slot of an account."""
        self._gates[account].leave()
        self._forget(account)

    def _forget(self, account: str) -> None:
        self._users[account] -= 1
        if not self._users[account]:
            del self._users[account], self._gates[account]


class Admission:
    """Accounts whose slots one session has acquired; others may be added later."""

    __slots__ = ("_gate", "accounts")

    def __init__(self, gate: AccountGate) -> None:
        self._gate = gate
        self.accounts: list[str] = []

    async def add(self, account: str) -> None:
        """Acquire a slot of another account without waiting, because the session has a connection.

        Raises:
            AccountBusyError: The account has used up its share.
        """
        if account in self.accounts:
            return
        if self._gate.is_full(account):
            raise AccountBusyError(account)
        await self._gate.enter(account)
        self.accounts.append(account)

    def leave(self) -> None:
        """Release all slots."""
        while self.accounts:
            self._gate.leave(self.accounts.pop())
