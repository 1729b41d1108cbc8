"""The public API as text: what `socketio_app` exports, and the results of the chat's methods."""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, get_args, get_type_hints

import attrs
import msgspec

import socketio_app
from socketio_app import Chat
from socketio_app.domain.values import Value


def public_api() -> list[str]:
    """Return the public API, line by line."""
    exported = {name: getattr(socketio_app, name) for name in sorted(socketio_app.__all__)}
    results = {each.__name__: each for each in _results(Chat) if each not in exported.values()}
    return [
        *_section("Names that can be imported from socketio_app", exported),
        *_section("Results", dict(sorted(results.items()))),
    ]


def _section(title: str, members: dict[str, Any]) -> list[str]:
    lines = ["", title, ""]
    for name, member in members.items():
        lines += class_lines(member) if inspect.isclass(member) else [_signature(name, member)]
    return lines


def class_lines(a_class: type) -> list[str]:
    """Return a line for a class, and one for each public attribute and method."""
    members: dict[str, str] = {}
    for each in reversed(_own_classes(a_class)):
        for node in _parsed(each).body:
            members.update(_member(node))
        fields = attrs.fields(each) if attrs.has(each) else ()
        members.update({field.name: _field(field, members) for field in fields})
        members.update(_value_fields(each, members))
    bases = ", ".join(base.__name__ for base in a_class.__bases__ if base not in {object, Value})
    lines = [f"    {member}" for name, member in members.items() if not name.startswith("_")]
    return [f"class {a_class.__name__}({bases})".removesuffix("()"), *lines]


def _own_classes(a_class: type) -> list[type]:
    """Return a class and its bases, without those that have a line of their own."""
    listed = {getattr(socketio_app, name) for name in socketio_app.__all__} - {a_class}
    return [
        each
        for each in a_class.__mro__
        if each.__module__.startswith("socketio_app.") and each not in listed
    ]


def _parsed(member: Any) -> Any:
    return ast.parse(textwrap.dedent(inspect.getsource(member))).body[0]


def _member(node: ast.stmt) -> Iterator[tuple[str, str]]:
    """Yield the attributes and methods that a statement of a class defines, with their lines."""
    match node:
        case ast.AnnAssign(target=ast.Name(name), annotation=annotation):
            yield name, f"{name}: {ast.unparse(annotation)}"
        case ast.Assign(targets=[ast.Name(name)], value=value):
            yield name, f"{name} = {ast.unparse(value)}"
        case ast.FunctionDef(name="__init__"):
            yield "__init__", _function(node)
            yield from _attributes(node)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name, _function(node)


def _attributes(initializer: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    for node in ast.walk(initializer):
        match node:
            case ast.Attribute(value=ast.Name("self"), attr=name, ctx=ast.Store()):
                yield name, name


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    decorators = "".join(f"@{ast.unparse(each)} " for each in node.decorator_list)
    kind = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{decorators}{kind} {node.name}({ast.unparse(node.args)}){returned}"


def _signature(name: str, function: Any) -> str:
    node = _parsed(function)
    assert node.name == name
    return _function(node)


def _field(field: "attrs.Attribute[Any]", members: dict[str, str]) -> str:
    line = members.get(field.name, field.name).partition(" = ")[0]
    if field.default is attrs.NOTHING:
        return line
    is_plain = field.default is None or isinstance(field.default, int | float | str | tuple)
    return f"{line} = {field.default!r}" if is_plain else f"{line} = ..."


def _value_fields(a_class: type, members: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the fields of a value that have a default, with their lines."""
    if issubclass(a_class, Value) and a_class is not Value:
        for field in msgspec.structs.fields(a_class):
            if field.default is not msgspec.NODEFAULT:
                line = members[field.name].partition(" = ")[0]
                yield field.name, f"{line} = {field.default!r}"


def _results(a_class: type) -> Sequence[type]:
    """Return the classes that a class's methods return, and those of their fields."""
    found: dict[type, None] = {}
    for name, method in inspect.getmembers(a_class, inspect.isfunction):
        if not name.startswith("_"):
            _collect(get_type_hints(method).get("return"), found)
    return list(found)


def _collect(annotation: Any, found: dict[type, None]) -> None:
    for each in get_args(annotation):
        _collect(each, found)
    is_value = inspect.isclass(annotation) and (
        attrs.has(annotation) or issubclass(annotation, Value)
    )
    if is_value and annotation not in found:
        found[annotation] = None
        for hint in get_type_hints(annotation).values():
            _collect(hint, found)
