"""The child process of `sandgrain.device.run.tflm`: runs TensorFlow Lite Micro on what comes in on stdin, until it ends.

It is started as a file and imports nothing of Sandgrain, so that a model that crashes TFLM takes down only this process. Frames
are two little-endian lengths, that many bytes of JSON, and that many bytes of arrays, as the JSON lists them.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
DTYPES = {"int8": np.int8, "uint8": np.uint8, "int16": np.int16, "int32": np.int32, "int64": np.int64, "float32": np.float32}
LENGTHS = struct.Struct("<IQ")  # of the JSON, of the arrays


def put_frame(stream: BinaryIO, head: dict[str, Any], arrays: Sequence[Array]) -> None:
    """Write `head` and `arrays`."""
    head = head | {"arrays": [[a.dtype.name, list(a.shape)] for a in arrays]}
    text, body = json.dumps(head).encode(), b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)
    stream.write(LENGTHS.pack(len(text), len(body)) + text + body)
    stream.flush()


def frame_size(start: bytes | bytearray) -> int:
    """Bytes in the frame that begins with `start`; 0 while too little of it is known."""
    return LENGTHS.size + sum(LENGTHS.unpack_from(start)) if len(start) >= LENGTHS.size else 0


def get_frame(stream: BinaryIO) -> tuple[dict[str, Any], list[Array]]:
    """Read what `put_frame` wrote. Raises EOFError where the stream ends."""
    text_size, _ = LENGTHS.unpack(_exactly(stream, LENGTHS.size))
    head = json.loads(_exactly(stream, text_size))
    arrays = []
    for dtype, shape in head.pop("arrays"):
        kind = np.dtype(DTYPES[dtype])
        count = int(np.prod(shape, dtype=np.int64))
        arrays.append(np.frombuffer(_exactly(stream, count * kind.itemsize), kind).reshape(shape))
    return head, arrays


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise EOFError
    return data


def _limit(memory: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 24, 1 << 24))  # the log is the only file it writes


def _interpreter(model: bytes, arena: int, keep: bool) -> Any:
    # The extension module itself: the wheel's Python layer first unpacks the whole model, which takes 100 times longer.
    from tflite_micro.python.tflite_micro import _runtime

    config = _runtime.PythonInterpreterConfig
    return _runtime.InterpreterWrapper(
        model, [], arena, 0, config.kPreserveAllTensors if keep else config.kAllocationRecording, 0
    )


def _count_outputs(interpreter: Any) -> int:
    """How many outputs there are: TFLM says so only by refusing the next one."""
    count = 0
    try:
        while True:
            interpreter.GetOutputTensorDetails(count)
            count += 1
    except IndexError:
        os.ftruncate(2, 0)  # its complaint about that index is no news
        os.lseek(2, 0, os.SEEK_SET)
        return count


def _run(head: dict[str, Any], arrays: list[Array]) -> tuple[dict[str, Any], list[Array]]:
    """Every sample's outputs; with `head["tensors"]`, those tensors (by index in the file) instead."""
    model, width, tensors = arrays[0].tobytes(), head["inputs"], head["tensors"]
    interpreter = _interpreter(model, head["arena"], tensors is not None)
    outputs = _count_outputs(interpreter)
    found: list[Array] = []
    for sample in range(head["samples"]):
        interpreter.Reset()  # every sample starts with what a recurrent layer starts with
        for k in range(width):
            interpreter.SetInputTensor(arrays[1 + sample * width + k], k)
        interpreter.Invoke()
        if tensors is None:
            found += [np.array(interpreter.GetOutputTensor(k)) for k in range(outputs)]
        else:
            found += [np.array(interpreter.GetTensor(t, 0)["tensor_data"]) for t in tensors]
    return {"outputs": outputs if tensors is None else len(tensors)}, found


def main() -> None:
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever TFLM prints goes to the log
    requests = sys.stdin.buffer
    _limit(int(sys.argv[1]))
    while True:
        try:
            head, arrays = get_frame(requests)
        except EOFError:
            return
        try:
            answer = _run(head, arrays)
        except Exception as error:  # the parent turns it into an OracleError, whatever it is
            answer = {"error": f"{type(error).__name__}: {error}"}, []
        put_frame(replies, *answer)


if __name__ == "__main__":
    main()
