"""Whatever comes over HTTP is answered as the description says, and never by a fault of ours."""

from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
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


@schema.parametrize()
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_api_keeps_to_its_description(case: Any) -> None:
    case.call_and_validate(
        headers=_headers,
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
        ],
    )
