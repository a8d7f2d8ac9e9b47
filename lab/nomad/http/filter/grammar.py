"""The filter language of the list endpoints (go-bexpr): its grammar, and the tree it makes.

Grammar: https://github.com/hashicorp/go-bexpr/blob/v0.1.13/grammar/grammar.peg
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from lab.nomad.http.filter.peg import Act, Alt, Char, Complain, Expr, Lit, Look, Many, Ref, Rule, Seq, parse
from lab.nomad.http.filter.tree import Both, Each, Match, Node, Not, Op
from lab.nomad.http.gotext import unquote


@dataclass(frozen=True, slots=True)
class _Selector:
    path: tuple[str, ...]
    pointer: bool = False

    def text(self) -> str:
        """The selector as a value: what it was written as."""
        if not self.path:
            return ""
        return "/" + "/".join(self.path) if self.pointer else ".".join(self.path)


def read(text: str) -> Node:
    """Parse a filter; raises `Unparsable` with the parser's own message."""
    return cast("Node", parse(_RULES, "Input", text))


_ = Ref("_")
_OPT = Many(_, most=1)
_OR = Ref("OrExpression")
_EOF = Ref("EOF")


def _pick(number: int, *parts: Expr) -> Expr:
    return Act(Seq(parts), lambda _text, values: values[number])


def _operator(op: Op, *words: str, negated: bool = False, tight: bool = False) -> Rule:
    space = _OPT if tight else _
    parts: list[Expr] = [space]
    for word in words:
        parts += [Lit(word), space]
    if op is Op.EMPTY:
        parts.pop()
    return Rule(Act(Seq(tuple(parts)), lambda _text, _values: (op, negated)))


def _joined(_text: str, values: list[Any], *, either: bool) -> Both:
    return Both(values[0], values[4], either)


def _match(selector: int, operator: int, value: int | None) -> Any:  # noqa: ANN401 - an action of the engine
    def make(_text: str, values: list[Any]) -> Match:
        op, negated = values[operator]
        return Match(op, negated, values[selector].path, None if value is None else values[value])

    return make


def _each(_text: str, values: list[Any]) -> Each:
    index, value, default = values[4]
    return Each(values[0], values[1].path, index, value, default, values[8])


def _negate(_text: str, values: list[Any]) -> Node:
    inner = values[2]
    return inner.inner if isinstance(inner, Not) else Not(inner)


def _refs(*names: str) -> Alt:
    return Alt(tuple(Ref(name) for name in names))


_ID = Ref("Identifier")
_STRING = Ref("StringLiteral")
_VALUE_OPS = _refs(
    "MatchEqual", "MatchNotEqual", "MatchContains", "MatchNotContains", "MatchMatches", "MatchNotMatches"
)
_IN_OPS = _refs("MatchIn", "MatchNotIn")

_RULES: dict[str, Rule] = {
    "Input": Rule(
        Alt((_pick(3, _OPT, Lit("("), _OPT, _OR, _OPT, Lit(")"), _OPT, _EOF), _pick(1, _OPT, _OR, _OPT, _EOF)))
    ),
    "OrExpression": Rule(
        Alt(
            (
                Act(Seq((Ref("AndExpression"), _, Lit("or"), _, _OR)), lambda t, v: _joined(t, v, either=True)),
                Ref("AndExpression"),
                Ref("CollectionExpression"),
            )
        )
    ),
    "AndExpression": Rule(
        Alt(
            (
                Act(
                    Seq((Ref("NotExpression"), _, Lit("and"), _, Ref("AndExpression"))),
                    lambda t, v: _joined(t, v, either=False),
                ),
                Ref("NotExpression"),
            )
        )
    ),
    "NotExpression": Rule(
        Alt((Act(Seq((Lit("not"), _, Ref("NotExpression"))), _negate), Ref("ParenthesizedExpression")))
    ),
    "CollectionExpression": Rule(
        Act(
            Seq(
                (
                    _refs("CollectionOpAny", "CollectionOpAll"),
                    Ref("Selector"),
                    _,
                    Seq((Lit("as"), _)),
                    Ref("CollectionIdentifiers"),
                    _OPT,
                    Lit("{"),
                    _OPT,
                    _OR,
                    _OPT,
                    Lit("}"),
                )
            ),
            _each,
        )
    ),
    "CollectionIdentifiers": Rule(
        Alt(
            (
                Act(Seq((_ID, _OPT, Lit(","), _OPT, _ID)), lambda _t, v: (v[0], v[4], "")),
                Act(Seq((_ID, _OPT, Lit(","), _OPT, Lit("_"))), lambda _t, v: (v[0], "", "")),
                Act(Seq((Lit("_"), _OPT, Lit(","), _OPT, _ID)), lambda _t, v: ("", v[4], "")),
                Act(_ID, lambda _t, v: ("", "", v)),
            )
        ),
        "collection-identifiers",
    ),
    "CollectionOpAny": Rule(Act(Seq((Lit("any"), _)), lambda _t, _v: False)),
    "CollectionOpAll": Rule(Act(Seq((Lit("all"), _)), lambda _t, _v: True)),
    "ParenthesizedExpression": Rule(
        Alt(
            (
                _pick(2, Lit("("), _OPT, _OR, _OPT, Lit(")")),
                Ref("MatchExpression"),
                Seq((Lit("("), _OPT, _OR, _OPT, Look(Lit(")"), no=True), Complain("Unmatched parentheses"))),
            )
        ),
        "grouping",
    ),
    "MatchExpression": Rule(_refs("MatchSelectorOpValue", "MatchSelectorOp", "MatchValueOpSelector"), "match"),
    "MatchSelectorOpValue": Rule(Act(Seq((Ref("Selector"), _VALUE_OPS, Ref("Value"))), _match(0, 1, 2)), "match"),
    "MatchSelectorOp": Rule(
        Act(Seq((Ref("Selector"), _refs("MatchIsEmpty", "MatchIsNotEmpty"))), _match(0, 1, None)), "match"
    ),
    "MatchValueOpSelector": Rule(
        Alt(
            (
                Act(Seq((Ref("Value"), _IN_OPS, Ref("Selector"))), _match(2, 1, 0)),
                Seq((Ref("Value"), _IN_OPS, Look(Ref("Selector"), no=True), Complain("Invalid selector"))),
            )
        ),
        "match",
    ),
    "MatchEqual": _operator(Op.EQUAL, "==", tight=True),
    "MatchNotEqual": _operator(Op.EQUAL, "!=", negated=True, tight=True),
    "MatchIsEmpty": _operator(Op.EMPTY, "is", "empty"),
    "MatchIsNotEmpty": _operator(Op.EMPTY, "is", "not", "empty", negated=True),
    "MatchIn": _operator(Op.IN, "in"),
    "MatchNotIn": _operator(Op.IN, "not", "in", negated=True),
    "MatchContains": _operator(Op.IN, "contains"),
    "MatchNotContains": _operator(Op.IN, "not", "contains", negated=True),
    "MatchMatches": _operator(Op.MATCHES, "matches"),
    "MatchNotMatches": _operator(Op.MATCHES, "not", "matches", negated=True),
    "Selector": Rule(
        Alt(
            (
                Act(Seq((_ID, Many(Ref("SelectorOrIndex")))), lambda _t, v: _Selector((v[0], *v[1]))),
                Act(
                    Seq((Lit('"'), Many(Ref("JsonPointerSegment")), Lit('"'))),
                    lambda _t, v: _Selector(tuple(p.replace("~1", "/").replace("~0", "~") for p in v[1]), pointer=True),
                ),
            )
        ),
        "selector",
    ),
    "JsonPointerSegment": Rule(
        Act(Seq((Lit("/"), Many(Char("[\\pL\\pN-_.~:|]"), least=1))), lambda text, _v: text[1:])
    ),
    "Identifier": Rule(Act(Seq((Char("[a-zA-Z]"), Many(Char("[a-zA-Z0-9_/]")))), lambda text, _v: text)),
    "SelectorOrIndex": Rule(
        Alt(
            (
                _pick(1, Lit("."), _ID),
                Ref("IndexExpression"),
                Act(Seq((Lit("."), Many(Char("[0-9]"), least=1))), lambda text, _v: text[1:]),
            )
        )
    ),
    "IndexExpression": Rule(
        Alt(
            (
                _pick(2, Lit("["), _OPT, _STRING, _OPT, Lit("]")),
                Seq((Lit("["), _OPT, Look(_STRING, no=True), Complain("Invalid index"))),
                Seq((Lit("["), _OPT, _STRING, _OPT, Look(Lit("]"), no=True), Complain("Unclosed index expression"))),
            )
        ),
        "index",
    ),
    "Value": Rule(
        Alt((Act(Ref("Selector"), lambda _t, v: v.text() if v else None), Ref("NumberLiteral"), _STRING)), "value"
    ),
    "NumberLiteral": Rule(
        Alt(
            (
                Act(Seq((Many(Lit("-"), most=1), Ref("IntegerOrFloat"), Look(Ref("AfterNumbers")))), lambda t, _v: t),
                Seq(
                    (
                        Many(Lit("-"), most=1),
                        Ref("IntegerOrFloat"),
                        Look(Ref("AfterNumbers"), no=True),
                        Complain("Invalid number literal"),
                    )
                ),
            )
        ),
        "number",
    ),
    "AfterNumbers": Rule(Look(Alt((_, _EOF, Lit(")"))))),
    "IntegerOrFloat": Rule(
        Seq(
            (
                Alt((Lit("0"), Seq((Char("[1-9]"), Many(Char("[0-9]")))))),
                Many(Seq((Lit("."), Many(Char("[0-9]"), least=1))), most=1),
            )
        )
    ),
    "StringLiteral": Rule(
        Alt(
            (
                Act(
                    Alt(
                        (
                            Seq((Lit("`"), Many(Ref("RawStringChar")), Lit("`"))),
                            Seq((Lit('"'), Many(Ref("DoubleStringChar")), Lit('"'))),
                        )
                    ),
                    lambda text, _v: unquote(text),
                ),
                Seq(
                    (
                        Alt(
                            (
                                Seq((Lit("`"), Many(Ref("RawStringChar")))),
                                Seq((Lit('"'), Many(Ref("DoubleStringChar")))),
                            )
                        ),
                        _EOF,
                        Complain("Unterminated string literal"),
                    )
                ),
            )
        ),
        "string",
    ),
    "RawStringChar": Rule(Seq((Look(Lit("`"), no=True), Char(".")))),
    "DoubleStringChar": Rule(Seq((Look(Lit('"'), no=True), Char(".")))),
    "_": Rule(Many(Char("[ \\t\\r\\n]"), least=1), "whitespace"),
    "EOF": Rule(Look(Char("."), no=True)),
}
