"""Whatever comes over HTTP is answered as the description says, and never by a fault of ours."""

import re
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from office import TOKENS, MemoryDesk, sample_entries, tokens
from oneproxy.admin.app import make_app

_app = make_app(MemoryDesk(sample_entries()), tokens())
_headers = {"Authorization": f"Bearer {TOKENS['writer']}"}
schema = schemathesis.openapi.from_asgi("/openapi.json", _app, headers=_headers)


def keeping_to(operation: str) -> Any:
    """The test of one operation, "GET /v1/health"."""

    @schema.include(name=operation).parametrize()
    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    def keeps_to_its_description(case: Any) -> None:
        case.call_and_validate(
            headers=_headers,
            checks=[
                not_a_server_error,
                status_code_conformance,
                content_type_conformance,
                response_schema_conformance,
            ],
        )

    return keeps_to_its_description


# A function for each: schemathesis has tests of one function share a name, and of those that share
# one pytest-xdist runs the first alone.
for _found in schema.get_all_operations():
    assert isinstance(_found, Ok)
    _operation = _found.ok().label
    _name = re.sub(r"\W+", "_", _operation.lower()).strip("_")
    globals()[f"test_the_api_keeps_to_its_description_of_{_name}"] = keeping_to(_operation)
