"""The drawing has the imports of the code, and a message travels through functions that exist."""

import ast
import re
from pathlib import Path

import grimp
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"

Edges = set[tuple[str, str]]


def drawing() -> tuple[str, str]:
    """The lines of the drawing outside and inside the adapters."""
    found = re.search(r"```mermaid\n(.*?)\n```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    outside, _, inside = found.group(1).partition("    subgraph adapters\n")
    return outside, inside


def drawn_edges(lines: str) -> Edges:
    return set(re.findall(r"^ +(\w+) --> (\w+)$", lines, re.MULTILINE))


def drawn_nodes(lines: str) -> set[str]:
    alone = re.findall(r"^ +(?!end$)(\w+)$", lines, re.MULTILINE)
    return {*alone, *(node for edge in drawn_edges(lines) for node in edge)}


@pytest.fixture(scope="module")
def imports() -> Edges:
    """Pairs of a module and one that it imports."""
    graph = grimp.build_graph("socketio_app", cache_dir=None)
    return {
        (importer, imported)
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
    }


def between(imports: Edges, parent: str) -> Edges:
    """The imports between the children of a package, and from the package itself to them."""

    def child(module: str) -> str:
        inside = module.removeprefix(parent).removeprefix(".")
        return inside.partition(".")[0] or parent

    pairs = {
        (child(importer), child(imported))
        for importer, imported in imports
        if f"{importer}.".startswith(f"{parent}.") and f"{imported}.".startswith(f"{parent}.")
    }
    return {(one, other) for one, other in pairs if one != other}


def test_drawing_has_the_imports_between_the_layers(imports: Edges) -> None:
    outside, _ = drawing()

    assert drawn_edges(outside) == between(imports, "socketio_app")


def test_drawing_has_the_imports_between_the_adapters(imports: Edges) -> None:
    _, inside = drawing()

    assert drawn_edges(inside) == between(imports, "socketio_app.adapters")


STEP = re.compile(
    r"^ +(?:(?:->|<-) )?([\w.]+) +((?:adapters|application|domain)/\S+\.py)\b", re.MULTILINE
)


def definitions(path: Path) -> set[str]:
    """The functions and classes of a module, and the methods and attributes of the classes."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            for each in ast.walk(node):
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                    found.add(f"{node.name}.{each.name}")
                if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store):
                    found.add(f"{node.name}.{each.attr}")
    return found


def test_message_travels_through_functions_that_exist() -> None:
    page = PAGE.read_text()
    section = page.partition("## How a message travels")[2].partition("\n## ")[0]
    steps = STEP.findall(section)

    missing = [
        f"{name} in {file}"
        for name, file in steps
        if name not in definitions(PAGE.parents[1] / "socketio_app" / file)
    ]

    assert missing == []
    assert len(steps) == len(re.findall(r"^ {6}", section, re.MULTILINE))


def test_drawing_has_every_adapter() -> None:
    _, inside = drawing()
    adapters = PAGE.parents[1] / "socketio_app" / "adapters"

    assert drawn_nodes(inside) == {
        path.stem
        for path in adapters.iterdir()
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").exists()
    }
