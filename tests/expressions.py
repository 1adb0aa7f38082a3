"""The regular expressions of a package, and the texts that take each of them longest.

They are read from the source, so that a new one is tested without being listed. An expression is fed with what it is
made of: its pieces, repeated behind whatever has to stand before them, with an end that does not match.
"""

from __future__ import annotations

import ast
import re
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import permutations
from pathlib import Path
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from types import ModuleType
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]
# Those that look at the beginning of a text, and not for a match at each of its characters.
ANCHORED = {"match", "fullmatch"}
METHODS = ANCHORED | {"search", "findall", "finditer", "sub", "subn", "split"}
VALIDATORS = {"RegexValidator", "RegexField", "re_path"}
# Characters of whatever an expression only excludes or does not mention.
COMMON = "a0_- \n.,:;/\\\"'`<>&@#*[](){}=%é\0"

SMALL, LARGE = 16 * 1024, 64 * 1024
# Seconds. An expression that is linear takes a hundredth; one that is not takes some, or minutes.
MOST = 0.5
NOTICED = 0.1
HARMLESS = NOTICED / 20  # for a quarter of the text: even sixteen times as much would not be noticed
GROWTH = 8  # four times the text: four times the time where it is linear, sixteen times where it is quadratic


@dataclass(frozen=True)
class Expression:
    """`methods` are the ones that the source calls it with: "fullmatch", "sub"."""

    place: str
    pattern: re.Pattern[str]
    methods: frozenset[str]

    def __str__(self) -> str:
        return self.place


def expressions_in(*packages: str) -> list[Expression]:
    """Every expression that is written in the modules of these packages, migrations aside."""
    sources = {
        path: ast.parse(path.read_text())
        for package in packages
        for path in sorted((ROOT / package).rglob("*.py"))
        if "migrations" not in path.parts
    }
    imported = {node.module for tree in sources.values() for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert "re" not in imported, "write re.compile, so that the expressions are found"
    used = _methods_by_name(sources.values())
    return [each for path, tree in sources.items() for each in _in_module(path, tree, used)]


def _in_module(path: Path, tree: ast.Module, used: dict[str, set[str]]) -> Iterator[Expression]:
    relative = path.relative_to(ROOT)
    module = import_module(".".join(relative.with_suffix("").parts).removesuffix(".__init__"))
    names = {
        id(node.value): node.targets[0].id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        written, methods = _written(node, names, used)
        if written is not None:
            yield Expression(f"{relative}:{node.lineno}", _compiled(node, written, module), frozenset(methods))


def _written(node: ast.Call, names: dict[int, str], used: dict[str, set[str]]) -> tuple[ast.expr | None, set[str]]:
    """The expression that the call names, and what it is asked; None where the call is about none."""
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    of_re = isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "re"
    if of_re and called == "compile":
        # One whose name is not asked in the source is handed on, to be asked anything.
        return node.args[0], used.get(names.get(id(node), ""), METHODS)
    if of_re and called in METHODS:
        return node.args[0], {called}
    if called in VALIDATORS and not (isinstance(node.args[0], ast.Call)):
        return node.args[0], {"search"}
    for keyword in node.keywords:
        if keyword.arg == "pattern":
            return keyword.value, {"search"}
    return None, set()


def _methods_by_name(trees: Iterable[ast.Module]) -> dict[str, set[str]]:
    """What is asked of the expressions that have a name: {"SIZES": {"match"}}."""
    used: dict[str, set[str]] = {}
    handed_on: set[str] = set()
    for tree in trees:
        asked: set[int] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in METHODS:
                name = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
                used.setdefault(name, set()).add(node.attr)
                asked.add(id(node.value))
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and id(node) not in asked:
                handed_on.add(node.id)
    return {name: methods for name, methods in used.items() if name not in handed_on}


def _compiled(call: ast.Call, written: ast.expr, module: ModuleType) -> re.Pattern[str]:
    """The expression as the module compiles it; where a part is only known at run time, with a word in its place."""
    known = vars(module)
    if isinstance(written, ast.JoinedStr):
        parts = [
            ast.Constant("word") if isinstance(part, ast.FormattedValue) and not _is_known(part.value, known) else part
            for part in written.values
        ]
        written = ast.JoinedStr(parts)
    flags = [keyword.value for keyword in call.keywords if keyword.arg == "flags"] + [
        argument for argument in call.args[1:] if "re." in ast.unparse(argument)
    ]
    pattern = _value(written, known)
    return re.compile(pattern, _value(flags[0], known) if flags else 0)


def _is_known(node: ast.expr, known: dict[str, Any]) -> bool:
    return all(part.id in known for part in ast.walk(node) if isinstance(part, ast.Name))


def _value(node: ast.expr, known: dict[str, Any]) -> Any:
    expression = ast.fix_missing_locations(ast.Expression(node))
    return eval(compile(expression, "an expression's place", "eval"), known)  # noqa: S307 - our own source


def slowest(expression: Expression, texts: Iterable[str]) -> str:
    """What takes `expression` more time than a linear one has, in words; "" where nothing of `texts` does."""
    for text in texts:
        small = _seconds(expression, _at(text, SMALL))
        if small < HARMLESS:
            continue
        large = _seconds(expression, text) if small < MOST else small
        if large >= MOST or (large > NOTICED and large > GROWTH * small):
            return f"{small:.3f} s, then {large:.3f} s for four times as much like {text[:40]!r} … {text[-1]!r}"
    return ""


def _at(text: str, length: int) -> str:
    """`text` cut to `length`, with its end."""
    return text[: length - 1] + text[-1]


def _seconds(expression: Expression, text: str) -> float:
    """How long `expression` takes; MOST where it was stopped."""
    before = signal.signal(signal.SIGPROF, _stop)
    signal.setitimer(signal.ITIMER_PROF, MOST)
    begun = time.process_time()
    try:
        if expression.methods <= ANCHORED:
            expression.pattern.match(text)
            expression.pattern.fullmatch(text)
        else:
            for _ in expression.pattern.finditer(text):
                pass
    except TimeoutError:
        return MOST
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    return time.process_time() - begun


def _stop(*_: object) -> NoReturn:
    raise TimeoutError


def worst_texts(pattern: re.Pattern[str]) -> Iterator[str]:
    """Texts of 64 KB of what `pattern` is made of."""
    tree = parser.parse(pattern.pattern, pattern.flags)
    starts = {"", *_starts(tree)}
    pieces = {piece for piece in _pieces(tree) if piece}
    characters = "".join({character: None for piece in sorted(pieces) for character in piece})
    ends = _ends(characters)
    repeated = {
        *pieces,
        *(start for start in starts if start),
        *("".join(pair) for pair in permutations(sorted(pieces, key=len)[:12], 2)),
        _example(tree),
    }
    for piece in sorted(repeated - {""}):
        for start in sorted({"", *(start for start in starts if start != piece)}):
            for end in ends:
                yield start + (piece * (LARGE // len(piece) + 1))[: LARGE - len(start) - 1] + end


def _ends(characters: str) -> list[str]:
    """A few characters that an expression which is made of `characters` may not end with."""
    return [*[sign for sign in "\0!\n" if sign not in characters], characters[:1] or "a"][:3]


def _pieces(tree: Any) -> Iterator[str]:
    """Examples of all parts of an expression, the smallest and the larger ones."""
    for op, value in tree:
        yield _example([(op, value)])
        if op is ops.IN:
            yield from _members(value)
        for part in _parts(op, value):
            yield _example(part)
            yield from _pieces(part)


def _starts(tree: Any, before: str = "") -> Iterator[str]:
    """Examples of what has to stand before each repetition."""
    for op, value in tree:
        if op in REPEATS:
            yield before
        for part in _parts(op, value):
            yield from _starts(part, before)
        before += _example([(op, value)])


REPEATS = {ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT}


def _parts(op: Any, value: Any) -> list[Any]:
    if op in REPEATS:
        return [value[2]]
    if op is ops.SUBPATTERN:
        return [value[3]]
    if op is ops.BRANCH:
        return list(value[1])
    if op is ops.ATOMIC_GROUP:
        return [value]
    if op in {ops.ASSERT, ops.ASSERT_NOT}:
        return [value[1]]
    return []


def _example(tree: Any) -> str:
    """A short text that the expression matches, lookarounds aside."""
    text = ""
    for op, value in tree:
        if op is ops.LITERAL:
            text += chr(value)
        elif op is ops.NOT_LITERAL:
            text += next(sign for sign in COMMON if ord(sign) != value)
        elif op is ops.ANY:
            text += "a"
        elif op is ops.IN:
            text += next(iter(_members(value)), "")
        elif op in REPEATS:
            text += _example(value[2]) * max(value[0], min(value[1], 1))
        elif op is ops.BRANCH:
            text += _example(value[1][0])
        elif op in {ops.SUBPATTERN, ops.ATOMIC_GROUP}:
            text += _example(_parts(op, value)[0])
    return text


def _members(value: Any) -> list[str]:
    """A few of the characters of a class: those that it names, or what is left where it says which it is without."""
    sample = COMMON + "".join(_named(value))
    source = re.compile(_class(value))
    return [sign for sign in dict.fromkeys("".join(_named(value)) + sample) if source.match(sign)][:10]


def _named(value: Any) -> Iterator[str]:
    for op, given in value:
        if op is ops.LITERAL:
            yield chr(given)
        elif op is ops.RANGE:
            yield chr(given[0])


CATEGORIES = {
    ops.CATEGORY_DIGIT: r"\d",
    ops.CATEGORY_NOT_DIGIT: r"\D",
    ops.CATEGORY_SPACE: r"\s",
    ops.CATEGORY_NOT_SPACE: r"\S",
    ops.CATEGORY_WORD: r"\w",
    ops.CATEGORY_NOT_WORD: r"\W",
}


def _class(value: Any) -> str:
    """The source of a character class."""
    parts = {ops.LITERAL: lambda given: re.escape(chr(given)), ops.CATEGORY: CATEGORIES.__getitem__}
    parts[ops.RANGE] = lambda given: f"{re.escape(chr(given[0]))}-{re.escape(chr(given[1]))}"
    is_negated = value[0][0] is ops.NEGATE
    return f"[{'^' if is_negated else ''}{''.join(parts[op](given) for op, given in value if op is not ops.NEGATE)}]"
