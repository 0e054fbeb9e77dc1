"""The compiled form of the source: used where it is of this very source, and nowhere else."""

import os
import sys
from pathlib import Path

import pytest

from oneproxy import compiled


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment of Python without a compiled form."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.delenv(compiled.PLAIN, raising=False)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return tmp_path


def test_without_a_compiled_form_children_run_the_source(prefix: Path) -> None:
    assert compiled.environment() == {}


def test_the_compiled_form_of_this_source_is_found(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = compiled.place()
    folder.mkdir(parents=True)
    assert folder.is_relative_to(prefix)
    assert compiled.environment() == {"PYTHONPATH": str(folder)}
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    assert compiled.environment() == {"PYTHONPATH": f"{folder}{os.pathsep}/elsewhere"}
    monkeypatch.setenv(compiled.PLAIN, "1")
    assert compiled.environment() == {}


def test_another_source_has_another_place(prefix: Path) -> None:
    source = prefix / "source"
    source.mkdir()
    (source / "a.py").write_text("1")
    first = compiled.place(source)
    (source / "a.py").write_text("2")
    second = compiled.place(source)
    (source / "a.py").rename(source / "b.py")
    third = compiled.place(source)
    assert len({first, second, third}) == 3
