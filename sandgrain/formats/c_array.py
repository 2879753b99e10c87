"""A model's bytes as a C++ array, for programs that link TensorFlow Lite Micro."""

from __future__ import annotations

ALIGNMENT = 16  # bytes: what TensorFlow Lite Micro asks of a model
A_LINE = 16  # bytes


def write(data: bytes, name: str, about: str, header: str) -> tuple[str, str]:
    """(header, source) with `name`[] and `name`_size, C++11.

    `name`: a C identifier. `about`: a line of printable ASCII that cannot end a comment. `header`: the file name of the header.
    """
    guard = f"SANDGRAIN_{name.upper()}_H"
    rows = (data[k : k + A_LINE] for k in range(0, len(data), A_LINE))
    body = "\n".join("    " + " ".join(f"0x{byte:02x}," for byte in row) for row in rows)
    declared = (
        f"// {about}\n"
        f"// Made by Sandgrain. {len(data)} bytes of constant data, for tflite::GetModel({name}).\n"
        f"#ifndef {guard}\n#define {guard}\n\n#include <cstddef>\n\n"
        f"alignas({ALIGNMENT}) extern const unsigned char {name}[];\n"
        f"extern const std::size_t {name}_size;  // bytes\n\n#endif\n"
    )
    defined = (
        f"// {about}\n"
        f'#include "{header}"\n\n'
        f"alignas({ALIGNMENT}) const unsigned char {name}[] = {{\n{body}\n}};\n"
        f"const std::size_t {name}_size = sizeof({name});\n"
    )
    return declared, defined
