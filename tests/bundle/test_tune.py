"""Which program is taken: a mix of the cheapest layers is measured as a whole, and is not taken where another program is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sandgrain.bundle import tune
from sandgrain.bundle.tune import Figures, Tried, best
from sandgrain.compiler.plan import Choice

Cost = Callable[[Choice, int], tuple[int, int]]  # (instructions, bytes of code) of a layer in a program
PLAIN, COPY = Choice({1: "plain", 2: "plain"}), Choice({1: "copy", 2: "copy"})
ALONE = {"plain": (1000, 200), "copy": (900, 200)}  # what each kernel takes


class Bench:
    """Measures programs by a rule, and counts them."""

    def __init__(self, cost: Cost, ram: Callable[[Choice], int] = lambda choice: 0) -> None:
        self.cost, self.ram, self.seen = cost, ram, list[Choice]()

    def __call__(self, choice: Choice) -> Tried:
        self.seen.append(choice)
        layers = {t: Figures(*self.cost(choice, t)) for t in choice.kernels}
        instructions = 50 + sum(f.instructions for f in layers.values())
        return Tried(choice, layers, instructions, sum(f.code for f in layers.values()), self.ram(choice))

    def best(self, *variants: Choice, worth: float = 0.0) -> Choice:
        return best(variants, self, lambda choice: choice.shared, worth)


def by_kernel(choice: Choice, layer: int) -> tuple[int, int]:
    """A layer costs the same in every program; the copy is good for the first layer alone."""
    instructions, code = ALONE[choice.kernels[layer]]
    return instructions + (300 if layer == 2 and choice.kernels[layer] == "copy" else 0), code


def test_a_mix_that_costs_what_its_layers_cost_is_taken_after_one_more_measurement() -> None:
    bench = Bench(by_kernel)
    assert bench.best(PLAIN, COPY).kernels == {1: "copy", 2: "plain"}
    assert len(bench.seen) == 3


def dearer_together(choice: Choice, layer: int) -> tuple[int, int]:
    """In a program with both kernels, each layer takes 400 more."""
    instructions, code = by_kernel(choice, layer)
    return instructions + (400 if len(set(choice.kernels.values())) > 1 else 0), code


def test_a_uniform_program_is_taken_where_every_mix_is_worse() -> None:
    bench = Bench(dearer_together)
    assert bench.best(PLAIN, COPY).kernels == PLAIN.kernels
    assert len(bench.seen) <= 2 + tune.MIXES


def test_a_copy_that_is_dearer_in_the_mix_goes_and_the_rest_of_the_mix_stays() -> None:
    """Alone the copy saves 100 in layers 1 and 2; beside the plain layer 3, it takes 270 more than the plain kernel in layer 2."""

    def cost(choice: Choice, layer: int) -> tuple[int, int]:
        kernel = choice.kernels[layer]
        if layer == 3:
            return (2000 if kernel == "copy" else 1000), 200
        mixed = layer == 2 and kernel == "copy" and choice.kernels[3] == "plain"
        return ALONE[kernel][0] + (370 if mixed else 0), 200

    plain, copy = (Choice(dict.fromkeys((1, 2, 3), kernel)) for kernel in ("plain", "copy"))
    bench = Bench(cost)
    assert bench.best(plain, copy).kernels == {1: "copy", 2: "plain", 3: "plain"}
    assert [dict(c.kernels) for c in bench.seen[2:]] == [{1: "copy", 2: "copy", 3: "plain"}, {1: "copy", 2: "plain", 3: "plain"}]


def test_of_programs_that_take_the_same_instructions_the_smallest_is_taken() -> None:
    """The mix needs 128 bytes of RAM more and saves nothing, as its copy is dearer than it was alone."""

    def cost(choice: Choice, layer: int) -> tuple[int, int]:
        instructions, code = by_kernel(choice, layer)
        return (1000 if choice.kernels == {1: "copy", 2: "plain"} else instructions), code

    assert Bench(cost, lambda choice: 128 * ("copy" in choice.kernels.values())).best(PLAIN, COPY).kernels == PLAIN.kernels


def test_balanced_weighs_the_code_of_the_whole_program() -> None:
    """The mix saves 100 of 2050 instructions and has helpers of both kernels, which no layer's own code shows: worth 1 KiB, not 4."""

    def run(helpers: int, worth: float) -> Choice:
        def tried(choice: Choice) -> Tried:
            found = Bench(by_kernel)(choice)
            return replace(found, flash=found.flash + helpers * (len(set(choice.kernels.values())) > 1))

        return best([PLAIN, COPY], tried, lambda choice: choice.shared, worth)

    assert run(helpers=1024, worth=0.02).kernels == {1: "copy", 2: "plain"}
    assert run(helpers=4096, worth=0.02).kernels == PLAIN.kernels
    assert run(helpers=4096, worth=0.0).kernels == {1: "copy", 2: "plain"}


def test_layers_that_no_other_layer_shares_code_with_are_not_called_shared() -> None:
    """A uniform program that was built with everything shared is taken: the choice says only what the C does."""
    shared = Choice({1: "plain", 2: "plain"}, frozenset({1, 2}))

    def cost(choice: Choice, layer: int) -> tuple[int, int]:
        return (900 if layer in choice.shared else 1000), 200

    found = best([PLAIN, shared], Bench(cost), lambda choice: frozenset[int](), 0.0)
    assert found == Choice({1: "plain", 2: "plain"})


@pytest.mark.parametrize("worth", [0.0, tune.WORTH])
def test_a_mix_that_is_one_of_the_programs_asks_for_no_other(worth: float) -> None:
    bench = Bench(lambda choice, layer: ALONE[choice.kernels[layer]])
    assert bench.best(PLAIN, COPY, worth=worth).kernels == COPY.kernels
    assert bench.seen == [PLAIN, COPY, COPY]  # the third is in the cache of programs
