"""Moments as reports, evidence, registrations, runs and looks have them: text, in UTC."""

import datetime

PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|\+00:00)$"
"""What such a text looks like: ISO 8601, UTC."""


def now() -> str:
    """The present one, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
