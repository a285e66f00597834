"""Static scripts for shell completion, with every command and switch.

A dynamic script would start Python and import commands at each press of TAB.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SHELLS = ("bash", "zsh", "fish")


@dataclasses.dataclass(frozen=True)
class Completions:
    """Words that may follow a command, and its long switches, each with a description."""

    words: Mapping[str, str]
    switches: Mapping[str, str]


Tree = dict[tuple[str, ...], Completions]
"""Words of a command -> completions: () for `build.py`, ("lab", "up") for `build.py lab up`."""


def render(shell: str, tree: Tree) -> str:
    """Return the script for one of the SHELLS."""
    renderers: dict[str, Callable[[Tree], str]] = {
        "bash": _render_bash,
        "zsh": _render_zsh,
        "fish": _render_fish,
    }
    return renderers[shell](tree)


_BASH = """\
# Completion of build.py for bash; docs/operate.md shows where to put it.
_todo_build() {{
    local at=1 path= cur=${{COMP_WORDS[COMP_CWORD]}} i words= switches=
    COMPREPLY=()
    if [[ ${{COMP_WORDS[0]##*/}} != build.py ]]; then
        # Of a Python, only where it runs build.py.
        [[ ${{COMP_WORDS[1]##*/}} == build.py && $COMP_CWORD -gt 1 ]] || return 0
        at=2
    fi
    for ((i = at; i < COMP_CWORD; i++)); do
        case "$path ${{COMP_WORDS[i]}}" in
            {paths}) path="$path ${{COMP_WORDS[i]}}" ;;
        esac
    done
    case "$path" in
{cases}
    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$switches" -- "$cur"))
    else
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
    fi
}}
complete -o default -F _todo_build build.py ./build.py python3
"""


def _render_bash(tree: Tree) -> str:
    paths = [_path(path) for path in tree if path]
    cases = [
        f'        "{_path(path)}")'
        f' words="{" ".join(found.words)}" switches="{" ".join(found.switches)}" ;;'
        for path, found in tree.items()
    ]
    alternatives = " | ".join(f'"{path}"' for path in paths)
    return _BASH.format(paths=alternatives, cases="\n".join(cases))


def _render_zsh(tree: Tree) -> str:
    head, _, body = _render_bash(tree).partition("\n")
    load = "autoload -Uz compinit bashcompinit && compinit && bashcompinit"
    return f"{head.replace('bash', 'zsh')}\n{load}\n{body}"


_FISH = """\
# Completion of build.py for fish; docs/operate.md shows where to put it.
function __todo_build_at --argument-names wanted
    set --local words (commandline --cut-at-cursor --tokens-expanded 2>/dev/null
        or commandline --cut-at-cursor --tokenize)
    set --local path
    switch (path basename -- $words[1])
        case build.py
            set --erase words[1]
        case '*'
            test (count $words) -gt 1; and test (path basename -- $words[2]) = build.py; or return 1
            set --erase words[1..2]
    end
    for word in $words
        if contains -- (string join -- ' ' $path $word) {paths}
            set --append path $word
        end
    end
    test "$path" = "$wanted"
end
"""


def _render_fish(tree: Tree) -> str:
    paths = " ".join(_quoted(_path(path).strip()) for path in tree if path)
    lines = [_FISH.format(paths=paths)]
    for path, found in tree.items():
        condition = _quoted(f"__todo_build_at {_quoted(_path(path).strip())}")
        for command in ("build.py", "python3"):
            start = f"complete --command {command} --condition {condition}"
            lines += [
                f"{start} --no-files --arguments {word} --description {_quoted(text)}\n"
                for word, text in found.words.items()
            ]
            lines += [
                f"{start} --long-option {switch[2:]} --description {_quoted(text)}\n"
                for switch, text in found.switches.items()
            ]
    return "".join(lines)


def _path(path: tuple[str, ...]) -> str:
    return "".join(f" {word}" for word in path)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
