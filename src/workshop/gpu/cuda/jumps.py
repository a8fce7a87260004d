"""Turns Block/Leave into what C++ has: return, break, continue, plain nesting, and goto for the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace

from workshop.gpu import ir


@dataclass(frozen=True, slots=True)
class Jump(ir.Stmt):
    """`return`, `break`, `continue`, or `goto` with a label."""

    word: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Labelled(ir.Stmt):
    """A body in braces with a label right after it."""

    label: str
    body: ir.Body


@dataclass(frozen=True, slots=True)
class Exits:
    """Labels that mean a known place: the function's end, the end of the loop's trip, behind the loop."""

    returns: frozenset[str] = frozenset()
    continues: frozenset[str] = frozenset()
    breaks: frozenset[str] = frozenset()

    def word(self, label: str) -> str | None:
        """Name the C++ jump that leads where leaving this label does."""
        words = {"return": self.returns, "continue": self.continues, "break": self.breaks}
        return next((word for word, labels in words.items() if label in labels), None)


@dataclass(frozen=True, slots=True)
class Follow:
    """What comes right after a body: labels that end there, whether the function or a loop's trip does."""

    labels: frozenset[str] = frozenset()
    end_of_function: bool = False
    end_of_trip: bool = False


NOTHING = Follow()


def structured(body: ir.Body) -> ir.Body:
    """Return a function's body without Block and Leave."""
    return _body(body, Follow(end_of_function=True), Exits())


def _body(body: ir.Body, follow: Follow, exits: Exits) -> ir.Body:
    result: list[ir.Stmt] = []
    for index, statement in enumerate(body):
        last = index == len(body) - 1 or isinstance(statement, ir.Leave)
        result.extend(_statement(statement, follow if last else NOTHING, exits))
        if isinstance(statement, ir.Leave):
            break  # nothing behind it in this body is ever reached
    return tuple(result)


def _statement(s: ir.Stmt, follow: Follow, exits: Exits) -> ir.Body:
    match s:
        case ir.Leave():
            return () if s.label in follow.labels else (_jump(s, exits),)
        case ir.Block():
            return _block(s, follow, exits)
        case ir.If():
            return (replace(s, then=_body(s.then, follow, exits), orelse=_body(s.orelse, follow, exits)),)
        case ir.For() | ir.While():
            inside = Exits(exits.returns, frozenset(), follow.labels)
            return (replace(s, body=_body(s.body, Follow(end_of_trip=True), inside)),)
    return (s,)


def _jump(s: ir.Leave, exits: Exits) -> Jump:
    word = exits.word(s.label)
    return Jump(s.loc, word) if word else Jump(s.loc, "goto", s.label)


def _block(s: ir.Block, follow: Follow, exits: Exits) -> ir.Body:
    label = frozenset([s.label])
    inside = Exits(
        exits.returns | label if follow.end_of_function else exits.returns,
        exits.continues | label if follow.end_of_trip else exits.continues,
        exits.breaks,
    )
    inner = Follow(follow.labels | label, follow.end_of_function, follow.end_of_trip)
    for body in (s.body, _nested(s.body, s.label)):
        lowered = _body(body, inner, inside)
        if not any(isinstance(n, Jump) and n.label == s.label for n in ir.walk(lowered)):
            return lowered
    return (Labelled(s.loc, s.label, _body(s.body, inner, inside)),)


def _nested(body: ir.Body, label: str) -> ir.Body:
    """Move what follows `if c: ...; leave` into the other branch: the leave is then last, and vanishes."""
    for index, statement in enumerate(body[:-1]):
        if isinstance(statement, ir.If):
            rest = _nested(body[index + 1 :], label)
            if _ends_in_leave(statement.then, label):
                return (*body[:index], replace(statement, orelse=_nested((*statement.orelse, *rest), label)))
            if _ends_in_leave(statement.orelse, label):
                return (*body[:index], replace(statement, then=_nested((*statement.then, *rest), label)))
    return body


def _ends_in_leave(body: ir.Body, label: str) -> bool:
    return bool(body) and isinstance(body[-1], ir.Leave) and body[-1].label == label
