"""The section of the results page about large stores, which is measured separately."""

import re
from collections.abc import Mapping
from typing import Protocol

from benchmarks.report.tables import number, table

BEGIN, END = "<!-- large stores -->", "<!-- end of large stores -->"

_SECTION = re.compile(rf"{BEGIN}\n(.*?)\n{END}", re.DOTALL)

NOT_MEASURED = "Not measured yet; run `make bench-stores`."


class Times(Protocol):
    """The result of one command."""

    @property
    def ms(self) -> float:
        """Time from the request to the reply."""

    @property
    def cpu_ms(self) -> float:
        """CPU time of the chat."""


def section(found: Mapping[str, Mapping[str, Times]], messages: int) -> str:
    """Return the tables, from each command's figures on each store."""
    stores = list(found)
    commands = list(next(iter(found.values())))
    times = table(
        ["ms", *stores],
        [[each, *[number(found[store][each].ms) for store in stores]] for each in commands],
    )
    cpu = table(
        ["CPU, ms", *stores],
        [[each, *[number(found[store][each].cpu_ms) for store in stores]] for each in commands],
    )
    held = f"{messages:,} messages, in the stated number of conversations of one user:"
    return f"{held}\n\n{times}\n\n{cpu}"


def section_of(page: str) -> str:
    """Return the section of an existing page."""
    found = _SECTION.search(page)
    return found.group(1) if found else NOT_MEASURED


def with_section(page: str, text: str) -> str:
    """Return the page with another section.

    Raises:
        ValueError: The page has no place for it.
    """
    if _SECTION.search(page) is None:
        raise ValueError("the page has no section of large stores")
    return _SECTION.sub(lambda _: f"{BEGIN}\n{text}\n{END}", page)
