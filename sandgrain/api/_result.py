"""A compiled model in a folder, as Python is given it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandgrain.api import _bring, _doubts
from sandgrain.api._bundles import bundle_of
from sandgrain.api._int8 import Imported
from sandgrain.api._quality import Comparison
from sandgrain.api._verb import verb
from sandgrain.api.profile import profile
from sandgrain.api.verify import Place, verify
from sandgrain.base.tables import Line, Row, Shown
from sandgrain.base.text import finite
from sandgrain.bundle import samples as datafile
from sandgrain.bundle import store
from sandgrain.bundle.make import Made
from sandgrain.bundle.predictor import Predictor
from sandgrain.bundle.report import Report
from sandgrain.bundle.verdict import Verdict
from sandgrain.graph.dtypes import ACTIVATIONS
from sandgrain.graph.ir import Array
from sandgrain.graph.quantization import dequantize
from sandgrain.graph.text import dump


class Result(Shown):
    """A compiled model: `folder`, where its C lies; what it costs; and ways to run it.

    `compared`: what int8 cost, where a model of floats was quantized or samples had labels; `warnings`: one line each. A temporary `folder` goes
    when Python ends: `save` keeps the C.
    """

    def __init__(
        self,
        folder: Path,
        *,
        report: Report | None = None,
        text: str | None = None,
        compared: Comparison | None = None,
        warnings: tuple[str, ...] = (),
        temporary: bool = False,
    ) -> None:
        self.folder = folder
        self.compared = compared
        self.warnings = warnings
        self.temporary = temporary
        self._report, self._text = report, text
        self._built: tuple[object, store.Bundle, Predictor] | None = None

    @property
    def snr_db(self) -> tuple[float, ...] | None:
        """Signal to noise of each output against the model of floats, dB; None where nothing was quantized."""
        return self.compared.snr_db or None if self.compared is not None else None

    @property
    def report(self) -> Report:
        """What one inference costs on the board. Of a loaded bundle it is measured when it is first asked for."""
        if self._report is None:
            self._report = profile(self.folder)
        return self._report

    @property
    def text(self) -> str:
        """The optimized graph as text."""
        if self._text is None:
            self._text = dump(store.load_bundle(self.folder).compiled.graph)
        return self._text

    @verb
    def predict(self, x: Any) -> Any:
        """The outputs of the compiled C, run on this computer: float32 where they have a scale, in the model's own layout.

        `x`: samples as `compile` takes them for calibration; floats are quantized for an int8 input. One array [n, ...] comes back
        for one output, a tuple for several. The C is built for this computer at the first call and kept; it runs in a process of
        its own with limits of time and memory, which ends with Python.

        Raises UsageError for samples that do not fit or are not finite, RunError where the C crashes or does not end, ToolchainError
        without a C compiler.
        """
        bundle, host = self._host()
        outputs = _predict(bundle, host, x)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def profile(self) -> Report:
        """`sandgrain.profile` of the folder: what one inference costs, per layer and in total."""
        return profile(self.folder)

    def verify(self, x: Any = None, y: Any = None, *, on: Place = "both") -> Verdict:
        """`sandgrain.verify` of the folder on samples `x` (fresh ones by default) with labels `y`."""
        return verify(self.folder, x, labels=y, on=on)

    @verb
    def save(self, out: str | Path) -> Result:
        """Copy the C and its proof to the folder `out`, which may be missing, empty or an older bundle; the copy comes back.

        Raises UsageError where `out` cannot be written.
        """
        bundle = store.load_bundle(self.folder)
        store.save(bundle.build, bundle.origin, Path(out), lambda _: bundle.figures)
        return Result(Path(out), report=self._report, text=self._text, compared=self.compared, warnings=self.warnings)

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        snr = None if self.snr_db is None else [finite(v) for v in self.snr_db]
        compared = None if self.compared is None else self.compared.to_json()
        facts = {"out": str(self.folder), "snr_db": snr, "compared": compared, "warnings": list(self.warnings)}
        return {**facts, **self.report.to_json()}

    def rows(self) -> list[Row]:
        """The layers."""
        return self.report.rows()

    def lines(self) -> list[Line]:
        return [*self.report.summary(), *self.report.remarks(), "", *self.about_int8(), *self._where()]

    def about_int8(self) -> list[str]:
        """What quantization cost, where it did."""
        return [*([] if self.compared is None else self.compared.lines()), *_doubts.shown(self.warnings)]

    def _where(self) -> list[str]:
        where = "a temporary folder, which goes when Python ends; .save(folder) keeps it" if self.temporary else f"{self.folder}/"
        return [f"C in {where}"]

    def _host(self) -> tuple[store.Bundle, Predictor]:
        """The bundle, and its C built for this computer; built again when the files have changed."""
        state = _state(self.folder)
        if self._built is None or self._built[0] != state:
            bundle = store.load_bundle(self.folder)
            self._built = (state, bundle, Predictor(bundle))
        return self._built[1], self._built[2]


def result_of(made: Made, brought: Imported | None = None, *, temporary: bool = False) -> Result:
    """A bundle that was made, as Python is given it."""
    compared, warnings = (None, ()) if brought is None else (brought.compared, brought.warnings)
    return Result(
        made.folder, report=made.report, text=dump(made.graph), compared=compared, warnings=warnings, temporary=temporary
    )


def load(folder: str | Path) -> Result:
    """A compiled model that lies in a folder: what `compile`, `features` or `build` wrote.

    `folder`: the folder, or that of a project, whose `out/` is then taken.

    Raises UsageError where there is no bundle of this version.
    """
    place = bundle_of(Path(folder))
    if not store.is_bundle(place) and store.is_bundle(place / "out"):
        place = place / "out"
    store.load_bundle(place)
    return Result(place)


def _state(folder: Path) -> object:
    """What changes when a file of the bundle does."""
    try:
        files = sorted(p for p in folder.rglob("*") if p.suffix in (".c", ".h") or p.parent.name == "proof")
        return [(str(p), s.st_mtime_ns, s.st_size, s.st_ino) for p in files for s in (p.stat(),)]
    except OSError:
        return None


def _predict(bundle: store.Bundle, host: Predictor, x: Any) -> list[Array]:
    graph = bundle.compiled.imported
    inputs = _bring.fitted(graph, x)
    outputs = []
    for y, index in zip(host.run(inputs), graph.outputs, strict=True):
        quant = graph.tensors[index].quant
        real = y if quant is None or graph.tensors[index].dtype not in ACTIVATIONS else dequantize(y, quant)
        outputs.append(datafile.from_graph(real, graph.turned(index)))
    return outputs
