"""proving.c: a model's C with all that it offers, for `verify`. What `harness` enters by one way, this enters by each.

The inputs are the model's and a word that says what to do (`WAYS`); the outputs are the model's and the answers of the checks.
"""

from __future__ import annotations

from collections.abc import Sequence

from sandgrain.compiler.emit.model import Source, block
from sandgrain.compiler.emit.part import Check

WHOLE, APART, PIECES = 0, 1, 2  # slots passed as they are; buffers of the caller's, and the checks; the input in pieces
WORD = 4  # bytes of the word that says which


def ways(source: Source) -> tuple[int, ...]:
    """The ways by which this model can be entered."""
    return (WHOLE, APART, PIECES) if source.plan.stream is not None else (WHOLE, APART)


def checked_bytes(checks: Sequence[Check]) -> int:
    """Of all answers, at least 1."""
    return max(sum(check.expected.nbytes for check in checks), 1)


def proving(source: Source, checks: Sequence[Check]) -> str:
    """The C. `checks`: of the source's parts."""
    unit, upper = source.unit, source.unit.upper
    argument = "(memory.bytes)" if unit.caller else ""
    slots = {p.name: p.slot + argument if p.slot else f"({p.ctype} *)(void *){p.name}.bytes" for p in unit.ports}
    apart = {p.name: f"({p.ctype} *)(void *)apart_{p.name}.bytes" for p in unit.ports}
    memory = "memory.bytes, " if unit.caller else ""
    lines = [f'#include "{source.options.h_file}"', "", PUT]
    if unit.caller:
        lines += [ZONE, block(f"{upper}_ARENA_BYTES", "memory", "SG_ZONE")]
    lines += [block(str(port.tensor.nbytes), port.name) for port in unit.ports if not port.slot]
    lines += [block(str(port.tensor.nbytes), f"apart_{port.name}") for port in unit.ports]
    lines += [block(str(WORD), "way"), f"static uint8_t answers[{checked_bytes(checks)}];"]
    for kind, last in (("input", ("way.bytes", WORD)), ("output", ("answers", checked_bytes(checks)))):
        ports = [port for port in unit.ports if port.is_input == (kind == "input")]
        sizes, places = [*(p.tensor.nbytes for p in ports), last[1]], [*(slots[p.name] for p in ports), last[0]]
        lines += [
            f"extern const uint32_t sg_{kind}_count, sg_{kind}_bytes[];\nextern void *const sg_{kind}s[];",
            f"const uint32_t sg_{kind}_count = {len(sizes)};",
            f"const uint32_t sg_{kind}_bytes[] = {{{', '.join(map(str, sizes))}}};",
            f"void *const sg_{kind}s[] = {{{', '.join(places)}}};",
        ]
    entered = {"sg_whole": (slots, False), "sg_apart": (apart, False)}
    if PIECES in ways(source):
        entered["sg_pieces"] = (slots, True)
    for enters, (ports_at, pieces) in entered.items():
        lines.append(f"int {enters}(void);")
        lines += [text for part in source.parts if (text := part.harness(memory, ports_at, pieces=pieces, enters=enters))]
    lines += [_check(k, check) for k, check in enumerate(checks)]
    copies = [
        f"    sg_move({'apart_' + p.name + '.bytes'}, {slots[p.name]}, {p.tensor.nbytes}u);" for p in unit.ports if p.is_input
    ]
    back = [f"    sg_move({slots[p.name]}, apart_{p.name}.bytes, {p.tensor.nbytes}u);" for p in unit.ports if not p.is_input]
    pieces_way = [f"    if (way.bytes[0] == {PIECES}) {{\n        return sg_pieces();\n    }}"] if PIECES in ways(source) else []
    lines += [
        "int sg_infer(void);\nint sg_infer(void)\n{\n    int status;",
        f"    if (way.bytes[0] == {WHOLE}) {{\n        return sg_whole();\n    }}",
        *pieces_way,
        *copies,
        "    status = sg_apart();",
        *_checks_after(checks),
        *back,
        "    return status;\n}",
    ]
    return "\n".join(lines) + "\n"


ZONE = "#ifndef SG_ZONE\n#define SG_ZONE /* where the arena lies: the host build has zones around it */\n#endif"

PUT = """\
static uint8_t *sg_at, *sg_end; /* where the answer of a check goes */
static void sg_put(const void *from, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes && sg_at != sg_end; i++) {
        *sg_at++ = ((const uint8_t *)from)[i];
    }
}
static void sg_move(void *to, const void *from, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    }
}"""


def _check(number: int, check: Check) -> str:
    return f"static void sg_check_{number}(void)\n{{\n{check.code}\n}}"


def _checks_after(checks: Sequence[Check]) -> list[str]:
    """Calls of the checks. What they call may work in the arena: the outputs come into their slots there behind them."""
    lines, place = [], 0
    for k, check in enumerate(checks):
        lines.append(f"    sg_at = answers + {place};\n    sg_end = sg_at + {check.expected.nbytes};\n    sg_check_{k}();")
        place += check.expected.nbytes
    return lines
