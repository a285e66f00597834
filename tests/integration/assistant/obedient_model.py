"""A model that obeys every instruction it reads, the worst case.

It reads everything in a prompt and in results, does the worst that the tools could do, and tries
what no tool offers as well.
"""

import itertools
import json
import re
from collections.abc import Iterator, Sequence

from tests.integration.assistant.desk import choose, say
from todo.assistant.model.client import Mode, ModelAnswer, ModelRequest, OnText, TokenCount

_TASK_ID = re.compile(r'"id":"([0-9a-f-]{36})","title"')
_NUMBER = re.compile(r"^(\d+)\. \"", re.MULTILINE)
_CALLS = 10
_MAX_ROUNDS = 6

Call = tuple[str, str]


class ObedientModel:
    """Reads first, then attacks round by round until it is stopped, then says that all is done."""

    def __init__(self, mode: Mode, victim: str, reads: Sequence[str] = ()) -> None:
        """Prepare an attack.

        Args:
            mode: How it takes requests.
            victim: Another user.
            reads: Names of lists that it reads, beside the user's own tasks.
        """
        self._mode = mode
        self._victim = victim
        self._reads = reads
        self._intents = itertools.cycle(("delete", "complete", "update", "reschedule", "reopen"))
        self._rounds = 0
        self._turns = -1
        self.read: list[str] = []

    async def get_mode(self, *, timeout_s: float | None = None) -> Mode:
        del timeout_s
        return self._mode

    async def ask(
        self,
        request: ModelRequest,
        on_text: OnText | None = None,
        *,
        timeout_s: float | None = None,
        used: TokenCount | None = None,
    ) -> ModelAnswer:
        del timeout_s, used
        text = "\n".join(str(message.get("content")) for message in request.messages)
        self.read.append(text)
        answer = self._decide(text) if self._mode == "json_schema" else self._call(request, text)
        if on_text is not None and answer.text:
            await on_text(answer.text)
        return answer

    async def close(self) -> None:
        pass

    def start(self) -> "ObedientModel":
        """Begin the next turn."""
        self._turns += 1
        self._rounds = 0
        return self

    def _decide(self, text: str) -> ModelAnswer:
        """Choose all tasks for one intent after the other."""
        numbers = [int(number) for number in _NUMBER.findall(text)]
        return choose(next(self._intents), *numbers[:50], reply="I deleted and shared everything.")

    def _call(self, request: ModelRequest, text: str) -> ModelAnswer:
        self._rounds += 1
        if self._rounds > _MAX_ROUNDS:
            return say("I deleted and shared everything.")
        if self._rounds == 1:
            return say("", *self._look())
        ids = list(dict.fromkeys(_TASK_ID.findall(text)))
        if self._rounds == 2:
            start = self._turns * _CALLS
            return say("", *[_call("fetch", id=each) for each in ids[start : start + _CALLS]])
        numbers = _NUMBER.findall(text)
        attacks = list(self._attack(ids, numbers, _read_secrets(request)))
        start = (self._rounds - 3) * _CALLS
        chosen = attacks[start : start + _CALLS] or attacks[:_CALLS]
        return say("", *chosen)

    def _look(self) -> Iterator[Call]:
        yield _call("overview")
        yield _call("find_tasks", status="any", limit=50)
        yield _call("lists_and_tags")
        for name in self._reads:
            yield _call("find_tasks", list=name, status="any", limit=50)
            yield _call("add_tasks", tasks=[{"title": "read your notes", "list": name}])

    def _attack(self, ids: list[str], numbers: list[str], secrets: str) -> Iterator[Call]:
        """Yield the worst first: one that is refused must not keep the next from being tried."""
        victims = [{"id": each} for each in (numbers or ids)[:50]]
        for name in self._reads:
            yield _call("add_tasks", tasks=[{"title": secrets[:200] or "secrets", "list": name}])
            moved = [{"id": number, "list": name} for number in numbers[:3]]
            yield _call("update_tasks", tasks=moved or [{"id": "1", "list": name}])
        yield _call("delete_tasks", tasks=victims)
        yield _call("complete_tasks", tasks=victims)
        yield _call("update_tasks", tasks=[{**each, "title": "gone"} for each in victims])
        yield _call("reschedule_tasks", tasks=[{**each, "due": "none"} for each in victims])
        for each in [*ids[:5], *numbers[:8]]:
            yield _call("complete_tasks", tasks=[{"id": each}])
        yield _call("delete_tasks", lists=list(self._reads) or ["Trip"])
        yield _call("delete_tasks", plan_id=ids[0] if ids else "1")
        yield _call("apply_plan", plan_id=ids[0] if ids else "1")
        yield _call("share_list", list="Trip", user=self._victim, access="write")
        yield _call("create_token", name="mine", scopes=["admin"])
        yield _call("undo", seq=1)
        yield _call("add_tasks", tasks=[{"title": "x"}], run_id="mine")
        yield _call("add_tasks", tasks=[{"title": "x", "list": "N"}], create_missing_lists=True)


def _call(tool: str, /, **arguments: object) -> Call:
    return tool, json.dumps(arguments)


def _read_secrets(request: ModelRequest) -> str:
    results = [str(each["content"]) for each in request.messages if each["role"] == "tool"]
    return " ".join(re.findall(r"secret \w+", " ".join(results)))
