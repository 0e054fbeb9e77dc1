"""What every route works with: the recorder, the site, and who changes it."""

from typing import Annotated

from fastapi import Depends, Request

from oneproxy.admin.asking import Desk
from oneproxy.admin.changes import Changes
from oneproxy.admin.copy import SiteCopy


class Office:
    """The recorder behind `desk`, and what is made of its answers."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.copy = SiteCopy(desk)
        self.changes = Changes(desk, self.copy)


def office(request: Request) -> Office:
    """The one of this process."""
    found: Office = request.app.state.office
    return found


TheOffice = Annotated[Office, Depends(office)]
