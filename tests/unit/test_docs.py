"""What the documents name is there: files, links, and every key of the configuration."""

import re
from pathlib import Path

import pytest

from oneproxy.site.file import read_text
from oneproxy.site.model import Configuration
from oneproxy.site.schema import SECTIONS, Format, Gateway, Registration, Rewrite, Table

TOP = Path(__file__).parents[2]
DOCUMENTS = [*TOP.glob("*.md"), *TOP.glob("docs/*.md")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_map_of_clauses_names_files_that_are_there() -> None:
    lost = []
    for row in (TOP / "docs/rfc.md").read_text().splitlines():
        if row.startswith("| ") and row.endswith(" |"):
            *_, files, tests = (cell.strip() for cell in row.strip("|").split("|"))
            lost += [
                name for name in re.findall(r"`([^`]+)`", files) if not (TOP / "src/oneproxy" / name).exists()
            ]
            lost += [name for name in re.findall(r"`([^`]+)`", tests) if not (TOP / "tests" / name).exists()]
    assert lost == []


def test_every_section_and_key_of_the_file_is_described() -> None:
    text = (TOP / "docs/configuration.md").read_text()
    tables: list[type[Table]] = [*SECTIONS.values(), Gateway, Registration, Format, Rewrite]
    keys = {field.alias or name for table in tables for name, field in table.model_fields.items()}
    assert [name for name in SECTIONS if f"[{name}]" not in text] == []
    forms = ("`{}`", "{} = ", ".{}]")
    assert sorted(key for key in keys if not any(form.format(key) in text for form in forms)) == []


def test_the_example_of_the_readme_is_a_good_file() -> None:
    text = (TOP / "README.md").read_text()
    lines = text.partition("`first-call.toml`:\n")[2].partition("\n3. ")[0].splitlines()
    assert isinstance(read_text("\n".join(line.strip() for line in lines)), Configuration)
