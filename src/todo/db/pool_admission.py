"""Admission to the connection pool: FIFO with a bounded wait queue, and a share for each account.

An account whose row is locked, or whose questions are slow, holds each of its connections until a
timeout. So one account has only a share of the pool; its other requests wait without a connection.
"""

import asyncio
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Protocol


class Waiter(Protocol):
    """Object that is notified while its task waits.

    Attributes:
        waits_for_account: Whether it waits for a place of an account.
    """

    waits_for_account: bool


WAITER: ContextVar[Waiter | None] = ContextVar("waiter", default=None)
"""The connection whose request the current task serves."""


class PoolExhaustedError(Exception):
    """Nobody left a place in time, or too many wait already."""


class AccountBusyError(Exception):
    """An account has used up its share of connections: wait without one, then retry.

    Attributes:
        account: The account.
    """

    def __init__(self, account: str) -> None:
        super().__init__(f"{account} already uses its share of the connections")
        self.account = account


class PoolGate:
    """Places for a number of tasks at a time.

    SQLAlchemy's own queue for asyncio puts a task that was woken too late at the end again, so
    that under load some wait for many others that came after them.
    """

    def __init__(self, places: int, *, max_waiting: int, timeout_s: float) -> None:
        """Offer places.

        Args:
            places: How many tasks may have one at a time.
            max_waiting: How many may wait; more would only wait in vain.
            timeout_s: Seconds after which waiting is given up.
        """
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
        """Give a place back."""
        self._free.release()


class AccountGate:
    """Places for a number of sessions of each account at a time."""

    def __init__(self, places: int, *, max_waiting: int, timeout_s: float) -> None:
        """Create a gate with slots for each account.

        Args:
            places: How many sessions one account may have at a time.
            max_waiting: How many more may wait, for each account.
            timeout_s: Seconds after which waiting is given up.
        """
        self._places = places
        self._max_waiting = max_waiting
        self._timeout_s = timeout_s
        self._gates: dict[str, PoolGate] = {}
        self._users: dict[str, int] = {}

    async def admit(self, accounts: Iterable[str]) -> "Admission":
        """Wait for a place of each account.

        Raises:
            PoolExhaustedError: One of them has none.
        """
        admission = Admission(self)
        try:
            # In one order, so that two who want the same do not wait for each other.
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
            PoolExhaustedError: No connection became free in time, or too many tasks wait.
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
        """Return whether a session that wants a place of an account would have to wait."""
        return self._users.get(account, 0) >= self._places

    def leave(self, account: str) -> None:
        """Give a place of an account back."""
        self._gates[account].leave()
        self._forget(account)

    def _forget(self, account: str) -> None:
        self._users[account] -= 1
        if not self._users[account]:
            del self._users[account], self._gates[account]


class Admission:
    """The accounts whose places one session has; it may come upon more of them."""

    __slots__ = ("_gate", "accounts")

    def __init__(self, gate: AccountGate) -> None:
        self._gate = gate
        self.accounts: list[str] = []

    async def add(self, account: str) -> None:
        """Take a place of one more account, without waiting: this session has a connection.

        Raises:
            AccountBusyError: The account already uses its share.
        """
        if account in self.accounts:
            return
        if self._gate.is_full(account):
            raise AccountBusyError(account)
        await self._gate.enter(account)
        self.accounts.append(account)

    def leave(self) -> None:
        """Give all places back."""
        while self.accounts:
            self._gate.leave(self.accounts.pop())
