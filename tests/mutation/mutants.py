"""The mutants of a module: mutmut's changes and three more, one at a time."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst
from libcst.metadata import MetadataWrapper, ParentNodeProvider, PositionProvider
from mutmut.mutation.mutators import mutation_operators

#: Annotations are never evaluated; the others fail with nearly any change, which proves nothing.
_SKIPPED = (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom)
_SKIPPED_CALLS = {"len", "isinstance"}
#: Only annotations use these.
_TYPES = {"TypeVar", "ParamSpec"}


@dataclass(frozen=True)
class Mutant:
    """One changed copy of a module."""

    source: str
    #: The lines of the statement that was changed; none if it runs when the module is imported.
    lines: frozenset[int]
    diff: str


def mutants_of(source: str) -> Iterator[Mutant]:
    """Yield every mutant of a module."""
    wrapper = MetadataWrapper(cst.parse_module(source))
    mutations = _Mutations()
    wrapper.visit(mutations)
    for node, changed, lines in mutations.found:
        mutated = wrapper.module.deep_replace(node, changed).code
        both = difflib.unified_diff(source.splitlines(), mutated.splitlines(), n=0, lineterm="")
        yield Mutant(mutated, lines, "\n".join([*both][2:]))


class _Mutations(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider, ParentNodeProvider)

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[cst.CSTNode, cst.CSTNode, frozenset[int]]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, _SKIPPED):
            return False
        if _function_of(node) in _SKIPPED_CALLS:
            return False
        if isinstance(node, cst.Assign) and _function_of(node.value) in _TYPES:
            return False
        if isinstance(node, cst.If) and _is_not_run(node):
            return False
        for kind, operator in (*mutation_operators, *_MORE_OPERATORS):
            if isinstance(node, kind):
                self.found += [
                    (node, changed, self._lines(node))
                    for changed in operator(node)
                    if not self._is_same_pattern(node, changed)
                ]
        return True

    def _is_same_pattern(self, node: cst.CSTNode, changed: cst.CSTNode) -> bool:
        """Whether only the case of a text differs, in a statement whose patterns ignore case."""
        if not isinstance(node, cst.SimpleString) or not isinstance(changed, cst.SimpleString):
            return False
        if node.value.lower() != changed.value.lower():
            return False
        statement: cst.CSTNode = node
        while not isinstance(statement, cst.BaseSmallStatement | cst.Module):
            statement = self.get_metadata(ParentNodeProvider, statement)
        code = cst.Module([]).code_for_node(statement)
        return re.search(r"\bre\.I(GNORECASE)?\b", code) is not None

    def _lines(self, node: cst.CSTNode) -> frozenset[int]:
        statement = node
        while not isinstance(statement, cst.BaseStatement | cst.ExceptHandler | cst.Module):
            statement = self.get_metadata(ParentNodeProvider, statement)
        if not self._is_in_function(statement):
            return frozenset()
        place = self.get_metadata(PositionProvider, statement)
        last = place.end.line
        if isinstance(statement, cst.BaseCompoundStatement | cst.ExceptHandler):
            last = self.get_metadata(PositionProvider, statement.body).start.line
        return frozenset(range(place.start.line, last + 1))

    def _is_in_function(self, node: cst.CSTNode) -> bool:
        while not isinstance(node, cst.Module):
            node = self.get_metadata(ParentNodeProvider, node)
            if isinstance(node, cst.FunctionDef):
                return True
        return False


def _function_of(node: cst.CSTNode) -> object:
    """Return the name of the function that an expression calls, or None."""
    return getattr(getattr(node, "func", None), "value", None)


def _is_not_run(branch: cst.If) -> bool:
    """Whether no test runs this branch, as it is for type checkers or for another Python."""
    header = getattr(branch.body, "header", None)
    comment = getattr(header, "comment", None)
    is_uncovered = comment is not None and "pragma: no cover" in comment.value
    return is_uncovered or getattr(branch.test, "value", None) == "TYPE_CHECKING"


def _no_call(statement: cst.Expr) -> Iterator[cst.CSTNode]:
    if isinstance(statement.value, cst.Call):
        yield cst.Pass()


def _no_result(statement: cst.Return) -> Iterator[cst.CSTNode]:
    if statement.value is not None and not statement.value.deep_equals(cst.Name("None")):
        yield statement.with_changes(value=cst.Name("None"))


def _other_branch(branch: cst.If) -> Iterator[cst.CSTNode]:
    test = branch.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    yield branch.with_changes(
        test=cst.UnaryOperation(cst.Not(), test),
        whitespace_before_test=cst.SimpleWhitespace(" "),
    )


_MORE_OPERATORS = [(cst.Expr, _no_call), (cst.Return, _no_result), (cst.If, _other_branch)]
