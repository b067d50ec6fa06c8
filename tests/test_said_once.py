"""Each thing is said once: no function or long expression of the engine is that of another, by whatever names."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

import unified_ranker

PACKAGE = Path(__file__).parents[1] / "unified_ranker"
FUNCTION = 20
"""Nodes of the syntax tree from which a body is a thought, and not a turn of phrase such as `return len(self.rows)`."""
EXPRESSION = 29
"""Likewise of an expression, which is longer than a line then."""
PARTS = (ast.Slice, ast.Tuple, ast.Starred)
"""Kinds of expression that are no expression by themselves."""
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class _Renamed(ast.NodeTransformer):
    """Numbers the local names of a function, in the order in which they occur."""

    def __init__(self, local):
        self._local, self._numbers = local, {}

    def visit_Name(self, node):
        return ast.Name(self._name(node.id), node.ctx)

    def visit_arg(self, node):
        return ast.arg(self._name(node.arg))

    def _name(self, name):
        return self._numbers.setdefault(name, f"local{len(self._numbers)}") if name in self._local else name


def locals_of(function):
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    stored = (n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    return {*(a.arg for a in named), *stored}


def size(nodes):
    return sum(1 for node in nodes for _ in ast.walk(node))


def bodies(tree):
    """Yield (line, form) of each function whose body, without its docstring, is a thought."""
    for function in ast.walk(tree):
        if isinstance(function, FUNCTIONS):
            body = function.body[ast.get_docstring(function) is not None :]
            if size(body) >= FUNCTION:
                module = ast.parse("\n".join(ast.unparse(statement) for statement in body))
                yield function.lineno, ast.dump(_Renamed(locals_of(function)).visit(module))


def expressions(tree):
    """Yield (line, form) of each long expression inside of a function; in order of the tree, the outer ones first."""
    for function in ast.walk(tree):
        if isinstance(function, FUNCTIONS):
            local = locals_of(function)
            for node in ast.walk(function):
                if isinstance(node, ast.expr) and not isinstance(node, PARTS) and size([node]) >= EXPRESSION:
                    module = ast.parse(ast.unparse(node))
                    yield node.lineno, ast.dump(_Renamed(local).visit(module))


def repeated(parts, sources):
    """The places of all parts that occur more than once, by what occurs."""
    found = defaultdict(set)
    for name, text in sources.items():
        for line, form in parts(ast.parse(text)):
            found[form].add(f"{name}:{line}")
    return sorted(sorted(places) for places in found.values() if len(places) > 1)


def engine():
    return {str(f.relative_to(PACKAGE)): f.read_text(encoding="utf-8") for f in PACKAGE.rglob("*.py")}


def test_no_function_is_a_copy_of_another():
    assert not repeated(bodies, engine())


def test_no_long_expression_is_written_twice():
    assert not repeated(expressions, engine())


COPY = '''
def mean(values, weights):
    """Return the mean."""
    total = sum(w * v for v, w in zip(values, weights, strict=True))
    return total / sum(weights)
'''


@pytest.mark.parametrize(
    ("other", "copied"),
    [
        ("def m(xs, ws):\n  t = sum(w * v for v, w in zip(xs, ws, strict=True))\n  return t / sum(ws)", True),
        ("def m(xs, ws):\n  t = sum(w * v for v, w in zip(xs, ws, strict=True))\n  return t / max(ws)", False),
    ],
)
def test_a_copy_with_other_names_is_found(other, copied):
    assert bool(repeated(bodies, {"one.py": COPY, "other.py": other})) is copied


# --- rules that have one hand -------------------------------------------------------------------------------------


def places(found, *homes):
    """The places of nodes that `found` picks, outside of the files that they belong to."""
    return [
        f"{name}:{node.lineno}"
        for name, text in engine().items()
        if name not in homes
        for node in ast.walk(ast.parse(text))
        if found(node)
    ]


def named(node):
    return getattr(node, "attr", getattr(node, "id", None))


def test_only_one_hand_replaces_a_file():
    """`Path.replace` has one argument, that of text two. `latest` is a link, and `init` moves whole folders."""
    hands = places(
        lambda n: isinstance(n, ast.Call) and named(n.func) == "replace" and len(n.args) == 1 and not n.keywords,
        "core/files.py",
        "release/layout.py",
        "project/init/write_project.py",
    )
    assert not hands


def test_only_the_candidate_rule_compares_creation_times():
    hands = places(
        lambda n: (
            isinstance(n, ast.Compare)
            and isinstance(n.ops[0], ast.Lt | ast.LtE | ast.Gt | ast.GtE)
            and "created_at" in (sides := {named(side) for side in (n.left, *n.comparators)})
            and "NEVER" not in sides
        ),
        "core/candidate_rule.py",
    )
    assert not hands


def test_only_preparation_names_its_files():
    names = {"items.arrow", "users.arrow", "names.json", "split.json"}
    assert not places(lambda n: isinstance(n, ast.Constant) and n.value in names, "prepare/prepared.py")


def test_only_the_log_says_what_a_country_looks_like():
    assert not places(lambda n: isinstance(n, ast.Constant) and "[A-Z]{2}" in str(n.value), "log/column_types.py")


@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("report.json", "evaluation/report_names.py"),
        ("tf_serving_warmup_requests", "core/signature_names.py"),
        (8500, "core/addresses.py"),
        (8501, "core/addresses.py"),
    ],
)
def test_a_name_that_several_parts_must_agree_on_stands_once(name, home):
    """As a whole value or the end of a path; words in messages and docstrings may show it."""
    hands = places(
        lambda n: (
            isinstance(n, ast.Constant)
            and (str(n.value).rpartition("/")[2] == name if isinstance(name, str) else n.value == name)
        ),
        home,
    )
    assert not hands


def registered():
    """Classes that are registered as an implementation of an extension point, by name: the file that defines each."""
    return {
        node.name: name
        for name, text in engine().items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef)
        and any(named(getattr(mark, "func", mark)) in ("declare", "register") for mark in node.decorator_list)
    }


def test_nobody_asks_of_which_registered_type_something_is():
    """It has a method instead, so that another type is a file and not a branch in six."""
    known = registered()
    assert {"PopularityFeature", "CategoryFeature"} <= known.keys()
    hands = [
        f"{name}:{node.lineno}"
        for name, text in engine().items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and named(node.func) == "isinstance"
        for asked in ast.walk(node.args[1])
        if known.get(named(asked), name) != name
    ]
    assert not hands


def test_what_is_public_is_used_by_the_engine_or_documented():
    """A function that only tests use is a copy of what the engine does otherwise, and drifts from it."""
    trees = {name: ast.parse(text) for name, text in engine().items()}
    used = {*unified_ranker.__all__, *(named(node) for tree in trees.values() for node in ast.walk(tree))}
    documented = "".join(page.read_text(encoding="utf-8") for page in (PACKAGE.parent / "docs").rglob("*.md"))
    alone = {
        f"{name}:{node.name}"
        for name, tree in trees.items()
        for node in tree.body
        if isinstance(node, (*FUNCTIONS, ast.ClassDef))
        if not (node.name in used or node.decorator_list or node.name.startswith("__"))
        if f"unified_ranker.{name.removesuffix('.py').replace('/', '.')}" not in documented
    }
    assert not alone
