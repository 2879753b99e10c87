"""What is converted: an exported program's operators in order, and its parameters, buffers and constants.

It comes from a live module, from a live program of `torch.export`, or from a .pt2 file (`pt2.py`).
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import torch

from sandgrain.base.errors import ModelError, SandgrainError, UnsupportedError, UsageError, printable
from sandgrain.base.text import ascii_line
from sandgrain.formats.aten.ops import HANDLERS, HINTS

# Neighbouring folders in paths of torch's own files, here and where a file was made.
TORCHS = {("site-packages", "torch"), ("dist-packages", "torch"), Path(torch.__file__).parts[-3:-1]}


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """`nodes`: torch.fx nodes, their shapes in meta["val"]. `constants`: tensors by placeholder. `inputs`: the placeholders
    that the caller feeds, in order. `outputs`: what comes out, in order.
    """

    nodes: tuple[Any, ...]
    constants: dict[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[Any, ...]


def of_module(module: Any, examples: tuple[Any, ...]) -> Program:
    """The program of a live module, as it computes in eval mode. Raises ModelError for what torch cannot export."""
    with _eval(module), _torchs_errors(type(module).__name__):
        return _of_exported(torch.export.export(module, examples))


def of_exported(exported: Any) -> Program:
    """The program of a live torch.export.ExportedProgram. Raises UsageError unless its shapes are fixed and its batch 1."""
    with _torchs_errors("the exported program"):
        program = _of_exported(exported)
    check_inputs(program)
    return program


def check_inputs(program: Program) -> None:
    """Raise UsageError unless every input has a fixed shape and a batch of 1."""
    for node in program.nodes:
        if node.op != "placeholder" or node.name not in program.inputs:
            continue
        shape = getattr(node.meta.get("val"), "shape", None)
        name = printable(node.name)
        if shape is None:
            raise UsageError(f"the input {name} is no tensor; export the module with tensors only")
        if not all(isinstance(n, int) for n in shape):
            raise UsageError(f"the input {name} has the shape {printable(str(list(shape)))}; export without dynamic_shapes")
        if not shape or shape[0] != 1:
            raise UsageError(f"the input {name} has the shape {list(shape)}; export with a batch of 1")


def _of_exported(exported: Any) -> Program:
    if any(mutates_shared(n) for n in exported.graph.nodes):
        exported = exported.run_decompositions({})
    missing = {operator_name(n.target) for n in exported.graph.nodes if is_operator(n)} - HANDLERS.keys()
    if missing:  # some are made of others that are known
        table = torch.export.default_decompositions()
        wanted = {op: rule for op, rule in table.items() if operator_name(op) in missing - HINTS.keys()}
        exported = exported.run_decompositions(wanted)
    signature = exported.graph_signature
    written = list(signature.user_inputs_to_mutate.values()) if len(signature.user_inputs) > 1 else []
    refuse_state([*signature.buffers_to_mutate.values(), *written])
    sources = {**signature.inputs_to_parameters, **signature.inputs_to_buffers, **signature.inputs_to_lifted_tensor_constants}
    state = {**exported.state_dict, **exported.constants}
    constants = {name: state[source].detach().cpu() for name, source in sources.items()}
    nodes = tuple(exported.graph.nodes)
    wanted_outputs = set(signature.user_outputs)
    outputs = [n for n in flat(nodes[-1].args) if n is not None and getattr(n, "name", n) in wanted_outputs]
    return Program(nodes, constants, tuple(signature.user_inputs), tuple(outputs))


def refuse_state(names: Sequence[str]) -> None:
    """Raise UnsupportedError where forward writes to buffers or inputs: the C keeps nothing from one call to the next.

    A lone input is the sample, no state: a ReLU that works in place may write to it.
    """
    if names:
        shown = ", ".join(printable(str(n)) for n in names[:4])
        raise UnsupportedError(
            f"forward writes to {shown}, a state kept between calls, and no state is kept; compute it from the inputs of one call "
            "(a layer in training mode writes too: export after .eval())"
        )


@contextmanager
def _eval(module: Any) -> Iterator[None]:
    """The module in eval mode, and afterwards as it was."""
    before = {m: m.training for m in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for m, training in before.items():
            m.training = training


@contextmanager
def _torchs_errors(name: str) -> Iterator[None]:
    """No warnings and no gradients; whatever torch raises, or the module itself, becomes one line."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            yield
        except SandgrainError:
            raise
        except Exception as error:
            fact = " ".join(str(error).split())[:200] or type(error).__name__
            raise ModelError(
                f"{name}: torch.export failed ({ascii_line(fact, 200)}); run forward on the example first"
            ) from error


# --- what torch says of a node -------------------------------------------------------------------------------------------


def is_operator(node: Any) -> bool:
    return node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload)


def mutates_shared(node: Any) -> bool:
    """Whether an in-place operator changes what another operator may still read under its old name."""
    if not (is_operator(node) and node.target._schema.is_mutable):
        return False
    source = node.args[0]
    while isinstance(source, torch.fx.Node):
        if len(source.users) > 1 or source.op == "placeholder":
            return True
        if not (is_operator(source) and any(a.alias_info is not None for a in source.target._schema.arguments)):
            return False
        source = source.args[0]
    return True


def operator_name(target: Any) -> str:
    """aten.relu_.default -> relu."""
    name: str = target._opname if isinstance(target, torch._ops.OpOverload) else str(target)
    return name.removesuffix("_")


def shape_of(node: Any) -> tuple[int, ...]:
    """What comes out, the first of several."""
    value = node.meta["val"]
    return tuple((value[0] if isinstance(value, tuple | list) else value).shape)


def bound(node: Any, known: dict[Any, Any]) -> dict[str, Any]:
    """Arguments by name, defaults filled in, nodes replaced by what they gave."""
    args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda n: known[n])
    found = {}
    for k, argument in enumerate(node.target._schema.arguments):
        if k < len(args) and not argument.kwarg_only:
            found[argument.name] = args[k]
        elif argument.name in kwargs:
            found[argument.name] = kwargs[argument.name]
        else:
            found[argument.name] = argument.default_value if argument.has_default_value() else None
    return found


def flat(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from flat(value)
        else:
            yield value


def layer_of(node: Any) -> str:
    """The innermost module that a node belongs to: features.3."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [entry[0] for entry in stack.values()]
    return printable(str(paths[-1]).removeprefix("L['self'].")) if paths and paths[-1] else ""


def line_of(node: Any) -> str:
    """file.py:12, the innermost line that is not torch's own."""
    frames = [f.strip() for f in str(node.meta.get("stack_trace") or "").splitlines() if f.strip().startswith("File ")]
    for frame in reversed(frames):
        path, _, rest = frame.removeprefix('File "').partition('", line ')
        if not TORCHS & set(itertools.pairwise(PurePath(path).parts)):
            return printable(f"{PurePath(path).name}:{rest.split(',')[0]}")
    return ""
