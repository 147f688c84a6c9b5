"""The code that trains, as a digest: another version of it trains another network."""

import ast
import hashlib
from functools import cache
from pathlib import Path

import beliefgeo

_TRAINS = ("arrays.py", "processes", "networks", "learning")


@cache
def training_code() -> str:
    """A digest of the code that trains, without its comments and docstrings."""
    root = Path(beliefgeo.__file__).parent
    parts = [path for name in _TRAINS for path in sorted([root / name, *(root / name).rglob("*.py")]) if path.is_file()]
    return hashlib.sha256("".join(_program(path.read_text()) for path in parts).encode()).hexdigest()


def _program(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [part for part in node.body if not _is_text(part)]
    return ast.dump(tree)


def _is_text(part: ast.stmt) -> bool:
    return isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant) and isinstance(part.value.value, str)
