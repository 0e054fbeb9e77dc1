"""What the documents name is there: files, links, and every key of the configuration."""

import re
import time
from itertools import takewhile
from pathlib import Path

import pytest
from sqlalchemy import text

from oneproxy.site.file import read_text
from oneproxy.site.model import Configuration
from oneproxy.site.schema import SECTIONS, Format, Gateway, Registration, Rewrite, Table
from oneproxy.store.database import Database
from oneproxy.store.records import Records
from oneproxy.store.tables import cdr
from recorded import a_record, journalled

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


@pytest.mark.parametrize("kind", ["PostgreSQL", "SQLite"])
def test_the_queries_on_call_records_are_answered(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/x.db" if kind == "SQLite" else request.getfixturevalue("postgres").database()
    database = Database("proxy", url)
    database.open()
    table = Records(url)
    just_now = int(time.time() * 1000) - 60_000
    table.store(journalled(a_record(1, just_now)))
    table.close()
    blocks = (TOP / "docs/cdr.md").read_text().split(f"({kind}):\n\n")[1:]
    queries = ["\n".join(takewhile(lambda line: line.startswith("    "), one.splitlines())) for one in blocks]
    assert len(queries) == {"PostgreSQL": 2, "SQLite": 1}[kind]
    for query in queries:
        found = database.connection().execute(text(query.strip().removesuffix(";"))).all()
        assert kind == "SQLite" or len(found) == 1
    database.drop()


def test_every_column_of_call_records_is_described() -> None:
    described = (TOP / "docs/cdr.md").read_text().partition("## The columns")[2].partition("## Asking")[0]
    assert [column.name for column in cdr.columns if f"`{column.name}`" not in described] == []
