"""Elements under another shape, order or place."""

from __future__ import annotations

from sandgrain.formats.onnx.write.emitter import Emitter, Layout, axis_in, in_layout


def reshape(e: Emitter) -> None:
    x = e.view.input(0)
    # One pixel: its channels are the same elements in either layout.
    layout = e.rest() if all(n == 1 for n in x.shape[1:-1]) else Layout.LAST
    e.done(e.make("Reshape", e.read(0, layout), e.constant(e.view.out.shape, "int64")))


def concatenation(e: Emitter) -> None:
    computed = [k for k in range(len(e.node.inputs)) if e.view.input(k).data is None]
    layout = Layout.FIRST if any(e.rest(k) is Layout.FIRST for k in computed) else Layout.LAST
    axis = axis_in(e.attrs["axis"], len(e.view.out.shape), layout)
    e.done(e.make("Concat", *(e.read(k, layout) for k in range(len(e.node.inputs))), axis=axis), layout)


def split(e: Emitter) -> None:
    layout, parts = e.rest(), e.attrs["parts"]
    axis = axis_in(e.attrs["axis"], len(e.view.out.shape), layout)
    sizes = e.constant([t.shape[e.attrs["axis"]] for t in e.view.outputs], "int64")
    for k, part in enumerate(e.several("Split", e.read(0, layout), sizes, outputs=parts, axis=axis)):
        e.done(part, layout, k)


def pad(e: Emitter) -> None:
    layout, out = e.rest(), e.view.out
    sides = in_layout(e.attrs["paddings"], layout)
    amounts = e.constant([before for before, _ in sides] + [after for _, after in sides], "int64")
    real = 0.0 if out.quant is None else (e.attrs["value"] - out.zero_point) * out.scale
    filler = e.constant(real, "float32" if out.quant is not None else out.dtype.name)
    e.done(e.make("Pad", e.read(0, layout), amounts, filler), layout)


def transpose(e: Emitter) -> None:
    e.done(e.make("Transpose", e.read(0), perm=e.attrs["perm"]))


def strided_slice(e: Emitter) -> None:
    a, shape = e.attrs, e.view.input(0).shape
    layout = Layout.LAST if a["drop"] else e.rest()
    rows = zip(shape, a["start"], a["stride"], a["size"], strict=True)
    # A range that runs backwards to the first element ends before it, which only a number far below 0 says.
    ends = [start + stride * size if start + stride * size >= 0 else -extent - 1 for extent, start, stride, size in rows]
    start, end, stride = (in_layout(v, layout) for v in (a["start"], ends, a["stride"]))
    vectors = (start, end, range(len(shape)), stride)
    y = e.make("Slice", e.read(0, layout), *(e.constant(v, "int64") for v in vectors))
    if a["drop"]:
        y = e.make("Squeeze", y, e.constant(a["drop"], "int64"))
    e.done(y, layout)


def gather(e: Emitter) -> None:
    e.done(e.make("Gather", e.read(0), e.read(1), axis=e.attrs["axis"]))


FORMS = {
    "reshape": reshape,
    "concatenation": concatenation,
    "split": split,
    "pad": pad,
    "transpose": transpose,
    "strided_slice": strided_slice,
    "gather": gather,
}
