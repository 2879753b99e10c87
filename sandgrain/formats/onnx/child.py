"""The child process of `checked.py`: the onnx package on files that may be anything, until stdin ends.

It is started as a file and imports nothing of Sandgrain: a file that crashes the package, or takes too much of anything, ends this
process and no other. A request is a length, the folder of the model and its inputs' shapes as JSON, another length, and the file's
bytes; an answer one byte (OK or BAD), a length, and the model (checked, external data read, functions inlined, shapes inferred) or
one line.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

OK, BAD = b"=", b"!"
LENGTH = struct.Struct("<Q")
CPU_SECONDS, WALL_SECONDS = 5, 60  # a file: wall time would blame it for a busy machine
MAX_MODEL = 32 << 20  # bytes of the file, and of it with its external data: eight million parameters
MAX_MESSAGES = 50_000  # nodes, tensors and values, those of functions and branches included
MAX_ATTRIBUTES = 64  # of one node
MAX_DEPTH = 8  # graphs within graphs
FIRST_OPSET = 11
AGAIN = "export the model again"


class BadModelError(Exception):
    """One line for the user."""


def send(stream: IO[bytes], data: bytes) -> None:
    """A length and that many bytes."""
    stream.write(LENGTH.pack(len(data)))
    stream.write(data)


def receive(stream: IO[bytes]) -> bytes:
    """What `send` wrote. Raises EOFError where the stream ends."""
    (size,) = LENGTH.unpack(_exactly(stream, LENGTH.size))
    return _exactly(stream, size)


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise EOFError
    return data


# --- one model -----------------------------------------------------------------------------------------------------------


def checked(data: bytes, folder: str, shapes: list[list[int]] | None) -> bytes:
    """The model, self-contained. Raises BadModelError, or whatever the onnx package does."""
    import onnx
    from onnx import checker, inliner, shape_inference

    if len(data) > MAX_MODEL:
        raise BadModelError(f"it has more than {MAX_MODEL} bytes; use a smaller model")
    try:
        model = onnx.ModelProto.FromString(data)
    except Exception:
        raise BadModelError(f"it is no ONNX model, or damaged; {AGAIN}") from None
    if not model.HasField("graph"):
        raise BadModelError(f"it is no ONNX model, or damaged; {AGAIN}")
    _bound(model)
    _opset(model)
    room = MAX_MODEL - len(data)
    for tensor in model.graph.initializer:
        room -= _inside(tensor, folder, room)
    checker.check_model(model)
    if model.functions:
        _bound_calls(model)
        model = inliner.inline_local_functions(model)
        _bound(model)
    _fix_inputs(model.graph, shapes)
    del model.graph.value_info[:]
    for key in ("metadata_props", "training_info"):
        model.ClearField(key)
    with contextlib.suppress(Exception):  # Sandgrain finds shapes on its own, too
        model = shape_inference.infer_shapes(model)  # data_prop would fill the memory with constants that double
    result: bytes = model.SerializeToString()
    return result


def _bound(model: Any) -> None:
    """Refuse more parts than a model has, and external data where it would not be read."""
    count = 0
    for graph, depth in _graphs(model):
        parts = (
            [graph.node] if not hasattr(graph, "initializer") else [graph.node, graph.initializer, graph.value_info, graph.input]
        )
        count += sum(len(p) for p in parts)
        if count > MAX_MESSAGES or depth > MAX_DEPTH:
            raise BadModelError(
                f"it has more than {MAX_MESSAGES} parts, or {MAX_DEPTH} graphs within graphs; use a smaller model"
            )
        for node in graph.node:
            if len(node.attribute) > MAX_ATTRIBUTES:
                raise BadModelError(f"a node with {len(node.attribute)} attributes; {AGAIN}")
            for attribute in node.attribute:
                for tensor in (attribute.t, *attribute.tensors):
                    if tensor.data_location:
                        raise BadModelError(f"external data in an attribute; keep it in the model, or {AGAIN}")


def _bound_calls(model: Any) -> None:
    """Refuse functions that call each other until there are more nodes than a model has. The checker has refused circles."""
    bodies = {(f.domain, f.name): [(n.domain, n.op_type) for n in f.node] for f in model.functions}
    sizes: dict[tuple[str, str], int] = {}
    for _ in range(MAX_DEPTH):  # each round knows the functions one level further up
        for name, calls in bodies.items():
            if name not in sizes and all(c in sizes or c not in bodies for c in calls):
                sizes[name] = sum(sizes.get(c, 1) for c in calls)
    total = sum(sizes.get((n.domain, n.op_type), 1) for n in model.graph.node)
    if len(sizes) < len(bodies) or total > MAX_MESSAGES:
        raise BadModelError(f"its functions make more than {MAX_MESSAGES} nodes, or call each other {MAX_DEPTH} deep; {AGAIN}")


def _graphs(model: Any) -> Iterator[tuple[Any, int]]:
    """Every graph and function, with how deep it lies."""
    waiting = [(model.graph, 0), *((f, 1) for f in model.functions)]
    while waiting:
        graph, depth = waiting.pop()
        yield graph, depth
        for node in graph.node:
            for attribute in node.attribute:
                waiting += [(g, depth + 1) for g in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs)]


def _opset(model: Any) -> None:
    from onnx import defs

    versions = [o.version for o in model.opset_import if o.domain in ("", "ai.onnx")]
    newest = defs.onnx_opset_version()
    if len(versions) != 1:
        raise BadModelError(f"it does not name one opset; {AGAIN}")
    if not FIRST_OPSET <= versions[0] <= newest:
        way = "onnx.version_converter.convert_version(model, 17)" if versions[0] < FIRST_OPSET else "an older opset_version"
        raise BadModelError(f"it uses opset {versions[0]}, known are {FIRST_OPSET} to {newest}; convert it with {way}")


def _inside(tensor: Any, folder: str, room: int) -> int:
    """Bring a tensor's external data into it: bytes of a file in the model's folder or below. Returns how many there are."""
    if not tensor.data_location:
        return 0
    keys = {entry.key: entry.value for entry in tensor.external_data}
    place = keys.get("location", "")
    name = tensor.name[:60]
    if not folder:
        raise BadModelError(f"tensor {name}: external data of a model that has no folder; give the model's path")
    home = Path(folder).resolve()
    try:
        path = (home / place).resolve()
        if not place or Path(place).is_absolute() or ".." in Path(place).parts or not path.is_relative_to(home):
            raise BadModelError(
                f"tensor {name}: external data outside the model's folder ({place[:60]}); move it into the folder"
            )
        if not path.is_file():
            raise BadModelError(f"tensor {name}: its external data ({place[:60]}) is no file; copy it beside the model")
        whole = path.stat().st_size
        start = int(keys.get("offset") or 0)
        length = int(keys.get("length") or whole - start)
        if not (start >= 0 and 0 <= length <= whole - start):
            raise BadModelError(f"tensor {name}: its external data ends before it is complete; copy the file again")
        if length > room:
            raise BadModelError(f"it has more than {MAX_MODEL} bytes with its external data; use a smaller model")
        with path.open("rb") as file:
            file.seek(start)
            tensor.raw_data = file.read(length)
    except (OSError, ValueError):
        raise BadModelError(f"tensor {name}: its external data cannot be read; {AGAIN}") from None
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")
    return length


FIXED = "export the model without dynamic axes, or load it in Python and give example_input, an array of the shape it will have"


def _fix_inputs(graph: Any, shapes: list[list[int]] | None) -> None:
    """Give the inputs the shapes that the caller names, and an open batch the size 1."""
    constant = {t.name for t in graph.initializer}
    inputs = [i for i in graph.input if i.name not in constant]
    if shapes is not None and len(shapes) != len(inputs):
        raise BadModelError(f"{len(shapes)} example inputs for {len(inputs)} inputs; give a tuple with one for each")
    for k, value in enumerate(inputs):
        if not value.type.tensor_type.HasField("shape"):
            if shapes is None:
                raise BadModelError(f"the input {value.name[:60]} does not say its shape; {FIXED}")
            for _ in shapes[k]:
                value.type.tensor_type.shape.dim.add()
        dims = value.type.tensor_type.shape.dim
        if shapes is not None and len(shapes[k]) != len(dims):
            raise BadModelError(
                f"the input {value.name[:60]} has {len(dims)} axes, its example {len(shapes[k])}; give one that fits"
            )
        for axis, dim in enumerate(dims):
            if dim.HasField("dim_value") and dim.dim_value > 0:
                if shapes is not None and shapes[k][axis] != dim.dim_value and axis:
                    found = [d.dim_value for d in dims]
                    raise BadModelError(
                        f"the input {value.name[:60]} has the shape {found}, its example {shapes[k]}; give one that fits"
                    )
            elif axis == 0:
                dim.dim_value = 1
            elif shapes is not None:
                dim.dim_value = shapes[k][axis]
            else:
                shown = ", ".join(str(d.dim_value or d.dim_param or "?") for d in dims)[:60]
                raise BadModelError(f"the input {value.name[:60]} has the open shape [{shown}]; {FIXED}")


# --- the process ---------------------------------------------------------------------------------------------------------


def _limit(memory: int) -> None:
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # it writes no file


def _limit_time() -> None:
    """Both end the process, wherever it is."""
    with contextlib.suppress(ImportError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + CPU_SECONDS, hard))
    if hasattr(signal, "alarm"):
        signal.alarm(WALL_SECONDS)


def main() -> None:
    replies, requests = os.fdopen(os.dup(1), "wb"), sys.stdin.buffer
    os.dup2(2, 1)  # whatever the package prints is nobody's answer
    import onnx.checker
    import onnx.inliner
    import onnx.shape_inference  # noqa: F401 - now, before memory is limited

    _limit(int(sys.argv[1]))
    while True:
        if hasattr(signal, "alarm"):
            signal.alarm(0)
        try:
            head, data = json.loads(receive(requests)), receive(requests)
        except EOFError:
            return
        _limit_time()
        try:
            kind, answer = OK, checked(data, head["folder"], head["shapes"])
        except Exception as error:  # whatever it is, the parent makes one line of it
            text = str(error) if isinstance(error, BadModelError) else f"the onnx package refuses it ({error}); {AGAIN}"
            kind, answer = BAD, text.encode(errors="replace")
        del data
        replies.write(kind)
        send(replies, answer)
        replies.flush()


if __name__ == "__main__":
    main()
