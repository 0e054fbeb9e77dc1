"""Every committed input of the fuzzer goes through its harness: neither rots unseen."""

import sys
from collections.abc import Callable, Iterator
from importlib import util
from pathlib import Path
from typing import Final

import pytest

FUZZ: Final = Path(__file__).parents[2] / "fuzz"
TARGETS: Final = ("codec", "framing", "engine")
CORPUS_LIMIT: Final = 300 * 1024

Harness = Callable[[bytes], None]


def loaded(name: str) -> Harness:
    """What a harness looks at; loaded from its file, since "fuzz" is no package."""
    spec = util.spec_from_file_location(f"fuzz_{name}", FUZZ / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    run: Harness = module.run
    grow: Harness | None = getattr(module, "grow", None)
    if grow is None:
        return run

    def both(data: bytes) -> None:
        run(data)
        grow(data)

    return both


def inputs(name: str) -> list[Path]:
    return sorted((FUZZ / "corpus" / name).iterdir())


@pytest.fixture(scope="module", params=TARGETS)
def target(request: pytest.FixtureRequest) -> Iterator[tuple[str, Harness]]:
    name: str = request.param
    yield name, loaded(name)
    sys.modules.pop(f"fuzz_{name}", None)


def test_every_seed_passes_its_harness(target: tuple[str, Harness]) -> None:
    name, run = target
    seeds = inputs(name)
    assert seeds
    for seed in seeds:
        try:
            run(seed.read_bytes())
        except Exception as fault:
            fault.add_note(f"input: fuzz/corpus/{name}/{seed.name}")
            raise


def test_octets_that_are_no_seed_pass_too(target: tuple[str, Harness]) -> None:
    _, run = target
    for data in (
        b"",
        b"\0",
        b"\r\n" * 8,
        b"\n@",
        b"\n@from\n\n@answer x y\n@wait\n@lose 9\n@no",
        b"\xff" * 99,
    ):
        run(data)


def test_the_seeds_stay_small() -> None:
    seeds = [seed for name in TARGETS for seed in inputs(name)]
    assert sum(seed.stat().st_size for seed in seeds) < CORPUS_LIMIT


def test_the_fuzzer_knows_the_same_targets() -> None:
    one = (FUZZ / "one.py").read_text("utf-8")
    assert f"TARGETS: Final = {TARGETS!r}".replace("'", '"') in one
