"""The page of a detector: what it says of normal windows and of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandgrain.cli import _out

if TYPE_CHECKING:
    from sandgrain.build.detected import Detected
    from sandgrain.build.rates import Rates

LISTED = 4  # windows judged wrongly that are named


def heading(built: Detected) -> None:
    """What was built from what."""
    from sandgrain.base.text import plain

    r, w, f = built.report, built.windows, built.facts
    _out.line(f"{plain(built.name, 30)}: {built.model}, a detector, seed {built.seed}, for {r.target}")
    normal, others = built.host.windows
    sides = f"{w['train']:,} train, {w['validation']:,} validation, all {plain(built.normal, 20)}"
    _out.line(f"windows: {sides}; test {normal:,} and {others:,} others")
    _out.line(f"fitted to {f['rows']} x {f['depth']} values a window; data set {built.samples.found.manifest.sha256[:12]}")
    _out.line()


def rates(built: Detected) -> None:
    """The same figures in floating point, on this computer and on the board; the threshold; each label."""
    v = built.verdict
    identical = "every byte as the reference" if v.identical else "DIFFERS from the reference"
    on = "emulated board" if "emulator" in v.compared else "this computer"
    rows = [["float", *_cells(built.floats)], ["int8, C here", *_cells(built.host)], [on, *_cells(built.board)]]
    rows.append(["int8, numpy", *_cells(built.reference)])
    _out.table("", ["detection", "AUC", "pAUC", "false alarms", "detected", "right"], rows, numeric=range(1, 6))
    _out.line(f"{on}: from raw samples, {v.samples:,} test windows, {identical};")
    _out.line(f"numpy: the same integers on the same windows; {built.agreement}")
    if built.same != built.floats:
        _out.line(f"float on these {v.samples:,} windows: AUC {_share(built.same.auc)}, pAUC {_share(built.same.pauc)}")
    f = built.facts
    _out.line(
        f"threshold {built.threshold}: at most {100 * f['false_alarms_asked']:.3g} % of {f['held_out']:,} normal windows"
        " that the fit did not see"
    )
    _out.line()


def _cells(r: Rates) -> list[str]:
    return [_share(r.auc), _share(r.pauc), _percent(r.false_alarms), _percent(r.detected), _percent(r.accuracy)]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def labels(built: Detected) -> None:
    """Each label of the test, and the windows that were judged most wrongly."""
    from sandgrain.base.text import plain

    rows = [
        [plain(x.label, 20) or "(none)", f"{x.windows:,}", _percent(x.alarms), "" if x.auc is None else f"{x.auc:.4f}"]
        for x in built.by_label
    ]
    _out.table("", ["label", "windows", "alarms", "AUC against normal"], rows, numeric=(1, 2, 3))
    if built.wrong:
        shown = "; ".join(f"{plain(w.key, 40)} (score {w.score})" for w in built.wrong[:LISTED])
        _out.line(f"farthest on the wrong side: {shown}")
    _out.line()
