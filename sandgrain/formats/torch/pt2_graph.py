"""The operators of a saved program, from the JSON of a .pt2 file.

An operator is looked up by name among PyTorch's own; a name from elsewhere is a fault of its layer. Shapes are not believed:
PyTorch's shape functions compute them again on tensors without storage, from arguments that may be anything. Operators on
constants alone are computed here, those of a list and up to a limit of work.
"""

from __future__ import annotations

import importlib
import math
import operator
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from sandgrain.base import scratch
from sandgrain.base.errors import ModelError, UnsupportedError, UsageError, printable
from sandgrain.formats.aten.ops import HANDLERS
from sandgrain.formats.torch.program import Program, flat, mutates_shared, operator_name, refuse_state
from sandgrain.formats.torch.pt2_schema import DTYPES, argument, whole
from sandgrain.formats.torch.pt2e import MOVES
from sandgrain.formats.torch.pt2e import NAMESPACE as QUANTIZERS

MAX_NODES = 1 << 13
MAX_ELEMENTS = 1 << 24  # of one value
MAX_PARTS = 1 << 12  # extent of what is cut into a list of parts
MAX_COMPUTED = 1 << 23  # elements that are computed of constants

NAMESPACES = ("aten", QUANTIZERS)
RECURRENT = ("gru", "lstm")  # torch would walk through every step to find their shapes
# Operators that are computed where they have constants alone: their work grows as their result, and they read nothing else.
COMPUTED = frozenset((
    "abs", "add", "alias", "arange", "cat", "clamp", "clone", "contiguous", "cos", "detach", "div", "eq", "exp", "expand", "fill",
    "flatten", "full", "full_like", "ge", "gt", "le", "lift_fresh_copy", "linalg_vector_norm", "log", "logical_not", "lt",
    "masked_fill", "maximum", "mean", "minimum", "mul", "ne", "neg", "norm", "ones", "ones_like", "permute", "pow", "reciprocal",
    "repeat", "reshape", "rsqrt", "rsub", "scalar_tensor", "select", "sin", "slice", "sqrt", "square", "squeeze", "stack", "sub",
    "sum", "t", "to", "_to_copy", "transpose", "tril", "triu", "type_as", "unsqueeze", "view", "where", "zeros", "zeros_like",
    "_weight_norm",
))  # fmt: skip


def build(graph: Mapping[str, Any], signature: Mapping[str, Any], tensor: Callable[[str], Any]) -> Program:
    """The program of a file's graph and signature. `tensor` gives parameters, buffers and constants by name.

    Faults of single operators are left on their nodes, as meta["fault"]. Raises ModelError for a graph that does not hold
    together, and whatever Python says of JSON that is not what it should be.
    """
    if graph["sym_int_values"]:
        raise UsageError("its shapes are dynamic; export without dynamic_shapes")
    if len(graph["nodes"]) > MAX_NODES:
        raise UnsupportedError(f"it has over {MAX_NODES} operators; use a smaller model")
    with torch.no_grad(), warnings.catch_warnings(), _no_new_folder():
        warnings.simplefilter("ignore")
        return _Builder(graph, tensor).build(signature)


MUTATIONS = ("buffer_mutation", "user_input_mutation", "parameter_mutation")  # kinds of a signature's outputs


class _Builder:
    def __init__(self, graph: Mapping[str, Any], tensor: Callable[[str], Any]) -> None:
        self.json, self.tensor = graph, tensor
        self.graph = torch.fx.Graph()
        self.named: dict[str, Any] = {}  # name in the file -> node
        self.constants: dict[Any, Any] = {}  # node -> tensor
        self.quantized: set[Any] = set()  # nodes of quantized constants, and what is moved of them
        self.left = MAX_COMPUTED

    def build(self, signature: Mapping[str, Any]) -> Program:
        inputs = [self._input(s) for s in signature["input_specs"]]
        for entry in self.json["nodes"]:
            self._node(entry)
        given = [n for n in inputs if n is not None]
        lone = given[0] if len(given) == 1 else None  # the sample, no state
        for node in self.graph.nodes:
            if mutates_shared(node):
                refuse_state([name for name in self._written(node) if not lone or name != lone.name])
                node.meta["fault"] = "it changes in place what others read; save exported.run_decompositions({})"
        kinds = [kind for kind in MUTATIONS if not lone or kind != "user_input_mutation"]
        changed = [s[kind] for s in signature["output_specs"] for kind in kinds if kind in s]
        refuse_state(
            [str(entry.get("buffer_name") or entry.get("user_input_name") or entry.get("parameter_name")) for entry in changed]
        )
        found = [s["user_output"]["arg"] for s in signature["output_specs"] if "user_output" in s]
        outputs = [self.named[arg["as_tensor"]["name"]] for arg in found if "as_none" not in arg]
        self.graph.output(tuple(outputs))
        constants = {node.name: value for node, value in self.constants.items()}
        return Program(tuple(self.graph.nodes), constants, tuple(n.name for n in inputs if n), tuple(outputs))

    @staticmethod
    def _written(node: Any) -> list[str]:
        """The name of the buffer or input that an in-place operator writes to, directly or through views."""
        source = node.args[0]
        while getattr(source, "op", "") == "call_function" and source.args:
            source = source.args[0]
        return [source.name] if getattr(source, "op", "") == "placeholder" else []

    # --- values ----------------------------------------------------------------------------------------------------

    def _name(self, name: Any, node: Any) -> None:
        if not isinstance(name, str) or name in self.named:
            raise ModelError(f"two values are called {printable(str(name))}; save the program again")
        self.named[name] = node

    def _constant(self, name: str, value: Any) -> Any:
        node = self.graph.placeholder("constant")
        node.meta["val"] = value.to("meta")
        self.constants[node] = value
        self._name(name, node)
        return node

    def _input(self, spec: Mapping[str, Any]) -> Any:
        """The placeholder of a user's input, or None for what the module brings along."""
        ((kind, value),) = spec.items()
        sources = {"parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name"}
        if kind in sources:
            self._constant(value["arg"]["name"], self.tensor(value[sources[kind]]))
            return None
        if kind != "user_input" or "as_tensor" not in value["arg"]:
            raise UnsupportedError("an input that is no tensor; export the module with tensors only")
        name = value["arg"]["as_tensor"]["name"]
        node = self.graph.placeholder(re.sub(r"\W", "_", str(name), flags=re.ASCII)[:60] or "input")
        node.meta["val"] = self._declared(name)
        self._name(name, node)
        return node

    def _declared(self, name: str) -> Any:
        """What the file says of a value: a tensor without storage."""
        about = self.json["tensor_values"][name]
        sizes = [whole(n) for n in about["sizes"]]
        if math.prod(sizes) > MAX_ELEMENTS:
            raise UnsupportedError(f"a value of {sizes} holds over {MAX_ELEMENTS} elements; no microcontroller holds it")
        return torch.empty(sizes, dtype=DTYPES.get(about["dtype"], torch.float32), device="meta")

    # --- operators -------------------------------------------------------------------------------------------------

    def _node(self, entry: Mapping[str, Any]) -> None:
        names = _results(entry["outputs"])
        if not names:  # it only asserts something
            return
        try:
            target = _operator(entry["target"])
            values = {i["name"]: argument(i["arg"], self.named.__getitem__) for i in entry["inputs"]}
            args, kwargs = _arranged(target, values)
            sources = [v for v in flat((args, tuple(kwargs.values()))) if isinstance(v, torch.fx.Node)]
            fixed = all(n in self.constants or n in self.quantized for n in sources)
            if fixed and target.namespace != QUANTIZERS and not self.quantized & set(sources):
                self._computed(target, args, kwargs, names)
                return
            if fixed:
                _need_known(target.namespace == QUANTIZERS or operator_name(target) in MOVES)
            value = self._shapes(target, args, kwargs, names)
            if fixed:
                self._spend(value)
            node = self.graph.call_function(target, args, kwargs)
            if fixed:
                self.quantized.add(node)
        except UnsupportedError as error:
            node = self.graph.call_function(_Unknown(str(entry["target"])))
            node.meta["fault"], value = str(error), self._declared_all(names)
        node.meta.update(_place(entry.get("metadata") or {}), val=value)
        if isinstance(names, str):
            self._name(names, node)
            return
        for k, (name, part) in enumerate(zip(names, value, strict=True)):
            item = self.graph.call_function(operator.getitem, (node, k))
            item.meta["val"] = part
            if name is not None:
                self._name(name, item)

    def _shapes(self, target: Any, args: Any, kwargs: Any, names: str | list[str | None]) -> Any:
        """What comes out, as tensors without storage. Raises UnsupportedError where PyTorch says that it cannot be."""
        name = operator_name(target)
        declared = name not in HANDLERS or name in RECURRENT
        if target.namespace == QUANTIZERS:
            found = args[0].meta["val"]
        else:
            found = self._declared_all(names) if declared else _without_storage(target, args, kwargs)
        if isinstance(names, str) == isinstance(found, tuple | list) or (not isinstance(names, str) and len(found) != len(names)):
            raise ModelError(f"{printable(str(target))} gives other values than the file says; save the program again")
        return found

    def _computed(self, target: Any, args: Any, kwargs: Any, names: str | list[str | None]) -> None:
        """An operator on constants becomes constants."""
        _need_known(operator_name(target) in COMPUTED)
        self._spend(_without_storage(target, args, kwargs))
        args, kwargs = torch.fx.node.map_arg((args, kwargs), lambda n: self.constants[n])
        found = target(*args, **kwargs)
        pairs = [(names, found)] if isinstance(names, str) else zip(names, found, strict=True)
        for name, value in pairs:
            if name is not None:
                self._constant(name, value)

    def _spend(self, shapes: Any) -> None:
        """Raise UnsupportedError unless enough is left of the work on constants."""
        self.left -= sum(t.numel() for t in flat((shapes,)))
        if self.left < 0:
            raise UnsupportedError(f"over {MAX_COMPUTED} numbers are computed of constants; keep the results as buffers")

    def _declared_all(self, names: str | list[str | None]) -> Any:
        if isinstance(names, str):
            return self._declared(names)
        return [None if n is None else self._declared(n) for n in names]


@contextmanager
def _no_new_folder() -> Iterator[None]:
    """Shape functions import PyTorch's compiler, which makes a folder for its cache at that moment, among the temporary ones unless
    told otherwise. It is told of a folder that is there, and nothing is ever put into it.
    """
    name = "TORCHINDUCTOR_CACHE_DIR"
    if name in os.environ or "torch._dynamo" in sys.modules:
        yield
        return
    os.environ[name] = str(scratch.system())
    try:
        yield
    finally:
        os.environ.pop(name, None)


class _Unknown:
    """Stands where an operator is not known."""

    def __init__(self, name: str) -> None:
        self.__name__ = printable(name.removeprefix("torch.ops."))

    def __call__(self) -> None:
        raise NotImplementedError(self.__name__)


def _operator(target: str) -> Any:
    """PyTorch's own operator of a name such as torch.ops.aten.relu.default. Raises UnsupportedError when there is none."""
    match = re.fullmatch(r"torch\.ops\.(\w+)\.(\w+)\.(\w+)", target, re.ASCII)
    if match and match[1] in NAMESPACES:
        if match[1] == QUANTIZERS:
            importlib.import_module("torch.ao.quantization.fx._decomposed")  # which defines them
        packet = getattr(getattr(torch.ops, match[1]), match[2], None)
        overload = getattr(packet, match[3], None) if isinstance(packet, torch._ops.OpOverloadPacket) else None
        if isinstance(overload, torch._ops.OpOverload):
            return overload
    raise UnsupportedError("it is none of PyTorch's own operators; build the layer from others")


def _need_known(known: bool) -> None:
    """Raise UnsupportedError for an operator on constants that is not among those that are computed."""
    if not known:
        raise UnsupportedError("it works on constants alone; compute it before the export and keep the result as a buffer")


def _results(outputs: Sequence[Mapping[str, Any]]) -> str | list[str | None]:
    """The names of what an operator gives: one, or a list."""
    kinds = [next(iter(o)) for o in outputs]
    if kinds == ["as_tensor"]:
        return str(outputs[0]["as_tensor"]["name"])
    if kinds == ["as_tensors"]:
        return [str(t["name"]) for t in outputs[0]["as_tensors"]]
    return [None if kind == "as_none" else str(o["as_tensor"]["name"]) for kind, o in zip(kinds, outputs, strict=True)]


def _arranged(target: Any, values: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments by position as far as the schema has them in a row, the others by name."""
    args, left = list[Any](), dict(values)
    for parameter in target._schema.arguments:
        if parameter.kwarg_only or parameter.name not in left:
            break
        args.append(left.pop(parameter.name))
    known = {parameter.name for parameter in target._schema.arguments}
    if not left.keys() <= known:
        raise ModelError(
            f"{printable(str(target))} has no argument {printable(min(left.keys() - known))}; save the program again"
        )
    return tuple(args), left


def _without_storage(target: Any, args: Any, kwargs: Any) -> Any:
    """The operator's shape function. Raises UnsupportedError for what it refuses, and for what is too large."""
    args, kwargs = torch.fx.node.map_arg((args, kwargs), lambda n: n.meta["val"])
    if "Tensor[]" in str(target._schema.returns[0].type):
        _check_extents(args)
    args = [torch.device("meta") if isinstance(a, torch.device) else a for a in args]
    if any(parameter.name == "device" for parameter in target._schema.arguments) and not any(
        isinstance(a, torch.device) for a in args
    ):
        kwargs = {**kwargs, "device": torch.device("meta")}
    try:
        found = target(*args, **kwargs)
    except Exception as error:  # whatever torch raises for arguments that do not fit
        fact = printable(" ".join(str(error).split()), 120) or type(error).__name__
        raise UnsupportedError(f"its arguments do not fit ({fact}); save the program again") from None
    for value in flat((found,)):
        if not isinstance(value, torch.Tensor) or value.numel() > MAX_ELEMENTS:
            raise UnsupportedError(f"it gives over {MAX_ELEMENTS} elements, or none; no microcontroller holds it")
    return found


def _check_extents(args: Any) -> None:
    for value in flat(args):
        if isinstance(value, torch.Tensor) and any(n > MAX_PARTS for n in value.shape):
            raise UnsupportedError(f"over {MAX_PARTS} parts; cut fewer")


def _place(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Where in the module an operator stands: what `program.layer_of` and `line_of` read."""
    stack = {}
    for k, entry in enumerate(str(metadata.get("nn_module_stack") or "").split(";")):
        parts = entry.split(",")
        if len(parts) > 1:
            stack[k] = (parts[1], parts[-1])
    return {"nn_module_stack": stack, "stack_trace": str(metadata.get("stack_trace") or "")}
