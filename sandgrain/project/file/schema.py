"""What may stand in `sandgrain.toml`: one model per section, one documented field per key. docs/reference/project.md is made from it.

Types are strict: a number in quotes is a string, and a string is not a number. A key that is not listed is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_type_hints

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model, model_validator

from sandgrain.base.errors import SandgrainError
from sandgrain.bundle.budget import Limits, parse_size, parse_time
from sandgrain.dataset import kinds, targets
from sandgrain.dataset.changes import cuts
from sandgrain.dataset.readers import keys_of, make_layout, option_classes
from sandgrain.dataset.records import Layout
from sandgrain.graph.decisions import MAX_HOLD, MAX_MARGIN, MAX_SMOOTHING, Rule

T = TypeVar("T")
MAX_LIST = 4096  # entries of any list in the file


def _tuple(value: object) -> object:
    """TOML has lists, the project has tuples; one word may stand for a list of one."""
    return tuple(value) if isinstance(value, list) else (value,) if isinstance(value, str | int | float) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_tuple), Field(max_length=MAX_LIST)]
Numbers = Annotated[tuple[float, ...], BeforeValidator(_tuple), Field(max_length=MAX_LIST)]
if TYPE_CHECKING:
    KindName = str
else:
    KindName = Literal[kinds.names()]
IN_TOML: dict[Any, Any] = {tuple[str, ...]: Words, tuple[float, ...]: Numbers}  # a type of Python -> the one of a field
Share = Annotated[float, Field(ge=0, le=1)]
Tables = Annotated[tuple[T, ...], BeforeValidator(_tuple), Field(max_length=MAX_LIST)]


def _size(value: object) -> object:
    """A size may be a number of bytes."""
    return str(value) if type(value) is int else value


Size = Annotated[str, BeforeValidator(_size)]


class Section(BaseModel):
    """A section of the file: frozen, strict, nothing unknown in it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, str_max_length=4096)


class Split(Section):
    """How recordings are given to training, validation and test. A group (speaker, subject, device) is never in two splits
    when `by = "group"`."""

    by: Literal["file", "group", "block", "time", "given"] = Field(
        "file",
        description="What is drawn as one: `file` (every recording by itself), `group` (all recordings of a speaker, subject or "
        "device), `block` (recordings that follow each other: whole files where there are ten or more, else a tenth of those of a file and "
        "label; where each file is one recording, a tenth of those of a folder and label, in the order of their numbers), `time` (each recording is cut: its first part trains, the next one validates, the last one tests) or `given` (the data says it: a {split} in `name`, a split column in `labels`, or `choose`).",
    )
    stratify: bool = Field(True, description="Draw so that each split has the same mix of labels, when drawn by file.")
    validation: float = Field(
        0.15, ge=0, lt=1, description="Share of the windows that training is monitored with, 0 to 1. 0: none."
    )
    test: float = Field(0.2, ge=0, lt=1, description="Share of the windows that only the final figures use, 0 to 1. 0: none.")
    gap_s: float = Field(0.0, ge=0, le=1e8, description="Seconds of a recording that are left out between two sides, by `time`.")
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of the draw.")
    lists: dict[Literal["validation", "test"], str] = Field(
        default_factory=dict,
        description="Text files below `path` with one recording per line, such as "
        '`{ validation = "validation_list.txt", test = "testing_list.txt" }`; recordings that they do not name are for training. With `by = "given"`.',
    )
    choose: dict[Literal["train", "validation", "test"], dict[str, Words]] = Field(
        default_factory=dict,
        description="Recordings that go to a split because of what `name` matched, such as "
        '`choose.test = { index = ["0", "1"] }`, or in a range of numbers, such as `choose.test = { group = ["60..80", "95.."] }`, whatever `by` '
        "is; no other recordings are drawn into a split that is chosen or given.",
    )

    @model_validator(mode="after")
    def _shares(self) -> Split:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test together leave nothing to train with; their sum must be below 1")
        return self


Answer = Literal["keep", "drop"]


class Files(Section):
    """Where the recordings are, and how files of every format are read."""

    path: str = Field(
        ".",
        min_length=1,
        description="Folder, relative to this file; looked for below $SANDGRAIN_DATA when it is not there.",
    )
    kind: KindName = Field(description="`audio`, `motion` (any sampled sensor) or `image`.")
    files: Words = Field((), description='Patterns below `path`, such as `["*.wav"]`; empty: every file of this kind.')
    name: str = Field(
        "",
        description="Pattern of a file's path without its suffix, such as `{label}_{group}_{index}`; `{label}`, `{group}` and "
        "`{split}` have a meaning. Empty: the label is the first folder's name.",
    )
    labels: str = Field(
        "",
        description="Index file below `path`: a CSV table with a row a file. Its columns are called file, label, group and split, or as "
        "`file_column`, `label_column`, `group_column` and `split_column` say; only the file must be there. Files may be named with or "
        "without suffix and folder; an empty group is no group.",
    )
    file_column: str = Field(
        "", description="The column of `labels` with the names of files. Empty: `file`, `filename`, `path` and the like."
    )
    split_column: str = Field(
        "", description="The column of `labels` with train, validation and test. Empty: `split`, `set` and the like."
    )
    row_column: str = Field(
        "",
        description="The column of `labels` with the number of a recording, from 0 or 1, where a line is a recording within a file (a row of "
        "an .npz) and no file; `line`: the lines have the order of the recordings. They are those of each file, or of the one in `file_column`.",
    )
    label_names: Words = Field(
        (), description='Names of labels that are numbers: `["sit", "stand"]` for 0 and 1. An empty name leaves the number.'
    )
    background: Words = Field(
        (),
        description='Patterns of recordings that `[[augment]] kind = "background"` mixes in; they are not samples. Below `path`, or beside '
        'it, such as `["../noise/*.wav"]`.',
    )
    negatives: Words = Field(
        (),
        description='Patterns of long recordings in which there is nothing to find, such as `["../evenings/*.wav"]`, below `path` or beside it. '
        "Nothing learns from them: the finished C hears them whole, and false alarms per hour are counted.",
    )
    links: Words = Field(
        (),
        description='Links below `path` that may lead outside of it, such as `["yes", "no"]`. Links that stay below it are followed anyway.',
    )
    rate: float = Field(0.0, ge=0, le=1e7, description="Sampling rate, Hz. 0: the files' own.")


def with_options(base: type[Section]) -> type[Section]:
    """`base` and a field for each of the readers' options, with its default, description and limits."""
    added: dict[str, Any] = {}
    for options in option_classes():
        types = get_type_hints(options)
        for f in fields(options):
            added[f.name] = (IN_TOML.get(types[f.name], types[f.name]), Field(f.default, **f.metadata))
    return create_model("ReadFiles", __base__=base, **added)


class Data(with_options(Files)):  # type: ignore[misc]
    """Where the recordings are, how their files are read, how they are cut into windows and split, and what happens to doubtful ones."""

    classes: Words = Field((), description="Labels to use, in the order of the model's outputs. Empty: all, sorted.")
    rest: str = Field("", description="Label for recordings whose label is not in `classes`. Empty: they are left out.")
    window_s: float = Field(0.0, ge=0, le=1e8, description="Length of a window, seconds. 0: the whole recording.")
    stride_s: float = Field(0.0, ge=0, le=1e8, description="From one window to the next, seconds. 0: `window_s`.")
    pad: Literal["center", "end", "none"] = Field(
        "center", description="Where a recording that is too short lies in its window; `none` leaves it out."
    )
    purity: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Of streams that are cut where their label changes (`label_column`, `stream`): windows run over the changes, and have "
        "the label of their largest part where that is at least this share; others are left out. 0: no window runs over a change.",
    )
    bad: Literal["skip", "refuse"] = Field("skip", description="A file that cannot be read: leave it out, or end with an error.")
    duplicates: Answer = Field("keep", description="Copies and near-copies of a recording: keep them, or drop all but the first.")
    conflicts: Answer = Field("keep", description="Copies and near-copies with different labels: keep, or drop all of them.")
    silent: Answer = Field("keep", description="Recordings with nothing to hear, images with no contrast: keep or drop.")
    constant: Answer = Field("keep", description="Recordings whose values never change: keep or drop.")
    clipped: Answer = Field("keep", description="Recordings that reach the end of the scale: keep or drop.")
    split: Split = Field(default_factory=Split, description="See [data.split].")

    @property
    def layout(self) -> Layout:
        """The part that says how files are read."""
        return make_layout(**{name: getattr(self, name) for name in keys_of(Layout("audio"))})

    @model_validator(mode="after")
    def _fits(self) -> Data:
        if not kinds.of(self.kind).sampled and (self.window_s or self.stride_s):
            raise ValueError(f"window_s and stride_s do not go with {kinds.of(self.kind).noun}")
        if self.stride_s and not self.window_s:
            raise ValueError("stride_s needs window_s")
        as_value_error(lambda: targets.check(self.layout))
        if self.purity and targets.asked(self.layout):
            raise ValueError("purity is for labels that change; windows of numbers run over all rows as they are")
        if self.purity and not (self.window_s and cuts(self.layout)):
            raise ValueError(
                "purity is for windows of streams that are cut where their label changes; set window_s, and label_column or stream"
            )
        if any(not scale > 0 for scale in self.full_scale):
            raise ValueError("full_scale must be above 0")
        if self.columns and len(self.full_scale) not in (0, 1, len(self.columns)):
            raise ValueError(
                f"full_scale has {len(self.full_scale)} values for {len(self.columns)} columns; give one, or one a column"
            )
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes names a label twice")
        return self


class Model(Section):
    """The network."""

    name: str = Field(
        "dscnn",
        min_length=1,
        description="A model of the catalogue, or `package.module:Class` for your own torch.nn.Module. Detectors of anomalies, "
        "fitted to normal recordings alone: `kmeans`, `gmm`, `mahalanobis`, `autoencoder`, `conv_autoencoder`; what is normal says "
        "`options.normal`, or the label by its name (`normal`, `ok`, `False`, `0`).",
    )
    width: int = Field(
        0, ge=0, le=4096, description="Size: the channels of its layers, or the components of a mixture. 0: the model's own."
    )
    options: dict[str, Any] = Field(default_factory=dict, description="Further options of the model, by name.")


class Train(Section):
    """How the network is trained."""

    epochs: int = Field(
        0, ge=0, le=100_000, description="Passes over the training data, at most. 0: 60, and up to 300 where windows are few."
    )
    batch: int = Field(
        0, ge=0, le=65_536, description="Windows per training step. 0: 8 to 64, so that a pass has some 40 steps if it can."
    )
    lr: float = Field(0, ge=0, le=10, description="Learning rate at its peak. 0: by a short test of five, from 0.001 to 0.016.")
    schedule: Literal["cosine", "step", "constant"] = Field("cosine", description="How the learning rate falls.")
    weight_decay: float = Field(1e-4, ge=0, le=1, description="Weight decay of AdamW.")
    patience: int = Field(
        15, ge=0, description="Epochs without a better validation loss, and at least 300 steps, before training stops. 0: never."
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of a label that is spread over all classes, 0 to 1.")
    class_weights: Literal["none", "balanced"] = Field("none", description="`balanced`: rare classes weigh more.")
    qat: bool = Field(True, description="Train the last epochs with the rounding of the int8 model.")
    threads: int = Field(
        0, ge=0, le=256, description="Threads of PyTorch. 0: 2. Sums depend on it, so another number gives other weights."
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of weights, order and augmentation.")


class Decide(Section):
    """How the results of a stream become decisions for labels: the macros of `NAME_decide` in NAME.h, which can also be changed there. Detectors and
    models that give a number have none."""

    smoothing: int = Field(
        Rule().smoothing,
        ge=1,
        le=MAX_SMOOTHING,
        description="Results whose scores are added up: one comes each `[data] stride_s`, or a quarter of a window.",
    )
    margin: int = Field(
        Rule().margin,
        ge=0,
        le=MAX_MARGIN,
        description="By how much a label must lead every other: steps of the int8 output, on average over these results. A larger "
        "margin gives fewer false accepts and more false rejects; the page of `sandgrain build --html` plots both.",
    )
    hold: int = Field(Rule().hold, ge=0, lt=MAX_HOLD, description="Results after a decision in which no other decision is made.")
    smoothing_s: float | None = Field(None, gt=0, le=3600, description="`smoothing` in seconds of the stream instead of results.")
    hold_s: float | None = Field(None, ge=0, le=86_400, description="`hold` in seconds of the stream instead of results.")
    false_alarms_per_hour: float | None = Field(
        None,
        ge=0,
        description="Audio: `margin` is chosen so that a long recording made of the validation recordings has at most so many false "
        "accepts per hour. Not given: `margin` as it stands.",
    )
    background: Words = Field(
        (),
        description='Labels for which there is never a decision, such as `["silence"]`; the label of `[data] rest` is always one.',
    )
    minutes: float = Field(
        10.0,
        ge=0,
        le=600,
        description="Audio: greatest length, in minutes, of the recording over which false accepts per hour and false rejects are "
        "counted. It is made of test recordings. 0: they are not counted.",
    )


class Target(Section):
    """The board, and how the C is written and compiled."""

    board: str = Field("cortex-m4", min_length=1, description="Board or core; see `sandgrain targets`.")
    clock_mhz: float = Field(0.0, ge=0, le=10_000, description="Clock, MHz, for the times. 0: the board's own.")
    compiler: Literal["zig", "gcc"] = Field("zig", description="Compiler for the figures.")
    optimize: Literal["speed", "size", "balanced"] = Field("balanced", description="How kernels are chosen.")
    arena: Literal["static", "caller"] = Field("static", description="Who owns the working memory.")
    battery_mah: float = Field(
        0.0, ge=0, le=1e6, description="Capacity of the battery, mAh, to estimate its life. 0: no estimate."
    )
    period_s: float = Field(1.0, gt=0, le=86_400, description="Seconds from one inference to the next, for the battery's life.")
    sleep_ma: float | None = Field(
        None,
        ge=0,
        le=10_000,
        description="Current between inferences, mA, for the battery's life: of the whole device, as you measured it. Not given: "
        "that of the board's chip alone, where it is known.",
    )


_ENERGY = {"nj": 1e-3, "uj": 1.0, "mj": 1e3, "j": 1e6}


def parse_energy(text: str, option: str) -> float:
    """ "150uJ", "1.2 mJ" to microjoules. Raises ValueError."""
    match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,15})?)\s*([numNUM]?[jJ])\s*", text, re.ASCII)
    if match is None:
        raise ValueError(f"{option} {text[:40]!r} is not an energy; write 150uJ or 1.2mJ")
    return float(match[1]) * _ENERGY[match[2].lower()]


class Budget(Section):
    """Limits: a build that exceeds one fails and says by how much."""

    ram: Size | None = Field(None, description='RAM, such as `"32K"`. Not given: what the board has.')
    flash: Size | None = Field(None, description='Flash, such as `"96K"`. Not given: what the board has.')
    latency: str | None = Field(None, description='Time per window, features included, such as `"60ms"`.')
    energy: str | None = Field(None, description='Energy per window, such as `"150uJ"`.')
    accuracy: Share | None = Field(None, description="Least accuracy on all test windows, 0 to 1.")
    balanced_accuracy: Share | None = Field(
        None, description="Classes: least mean of the labels' recalls, 0 to 1. It counts rare labels as much as frequent ones."
    )
    f1: Share | None = Field(None, description="Classes: least macro F1, the mean over the labels, 0 to 1.")
    recall: dict[str, Share] = Field(
        default_factory=dict,
        description="Least share of a label's test windows that are found, such as `{ fall = 0.95 }`. A detector finds a window "
        "of any label but the normal one with an alarm.",
    )
    false_alarms_per_hour: float | None = Field(
        None,
        ge=0,
        description="Most false alarms per hour: in `[data] negatives` where there are any, else of keywords over the long recording of "
        "`[decide]`, of a detector over whole test recordings (an alarm that lasts is one), or over its normal test windows, one each "
        "`stride_s`, where none is longer than a window. The build says where they are too short to show it.",
    )
    mae: float | None = Field(None, ge=0, description="Numbers: largest mean absolute error on all test windows, in their unit.")
    rmse: float | None = Field(None, ge=0, description="Numbers: largest root of the mean squared error, in their unit.")
    r2: float | None = Field(
        None, le=1, description="Numbers: least share of their variance on the test windows that is explained, up to 1."
    )
    auc: Share | None = Field(None, description="Detectors: least area under the ROC curve on the test split, 0 to 1.")

    @property
    def limits(self) -> Limits:
        """RAM and flash in bytes, latency in ms."""
        return Limits(parse_size(self.ram, "ram"), parse_size(self.flash, "flash"), parse_time(self.latency, "latency"))

    @property
    def energy_uj(self) -> float | None:
        """Microjoules a window, or None."""
        return None if self.energy is None else parse_energy(self.energy, "energy")

    @model_validator(mode="after")
    def _readable(self) -> Budget:
        as_value_error(lambda: (self.limits, self.energy_uj))
        return self


class Project(Section):
    """The whole file."""

    data: Data = Field(description="The recordings.")
    features: Tables[dict[str, Any]] = Field(
        (), description="Blocks that turn a window into the model's input, in order; `block` names each."
    )
    augment: Tables[dict[str, Any]] = Field((), description="What is varied in training, in order; `kind` names each.")
    model: Model = Field(default_factory=Model, description="The network.")
    train: Train = Field(default_factory=Train, description="Training.")
    decide: Decide = Field(default_factory=Decide, description="Decisions over a stream.")
    target: Target = Field(default_factory=Target, description="The board.")
    budget: Budget = Field(default_factory=Budget, description="The limits.")


def as_value_error(make: Callable[[], T]) -> T:
    """`make()`; a SandgrainError in it becomes the ValueError that pydantic reports with its place."""
    try:
        return make()
    except SandgrainError as error:
        raise ValueError(str(error)) from None
