"""Results found by what they are results of, whatever code and versions made them.

A key hashes the code and the libraries too, so that nothing stale is taken for new. Evidence must outlive both: where
it is judged by claims of today, a plan takes the identities that were recorded in place of those that a job of today
would have.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from dtclaims.addresses import differences, key_of
from dtclaims.errors import StoreError
from dtclaims.harness.lab import Lab

Identity = Mapping[str, Any]


class Recorded:
    """The identities of results that there are.

    Args:
        lab: that made them; it says what a result is of.
        identities: of the results.

    Raises:
        StoreError: two results for one thing: which of them is meant cannot be told.
    """

    def __init__(self, lab: Lab, identities: Iterable[Identity]) -> None:
        self._lab = lab
        self._found: dict[str, Identity] = {}
        for identity in identities:
            rival = self._found.setdefault(self._meaning(identity), identity)
            if rival is not identity:
                changed = [where for where, _, _ in differences(rival, identity)]
                raise StoreError(
                    "two results for one thing",
                    given=f"they differ in {', '.join(changed)}" if changed else "one result twice",
                    remedy="Make the evidence again: `dtclaims evidence OUT.json` chooses one version and says which.",
                )

    def match(self, identity: Identity) -> Identity:
        """The recorded identity of the same thing; the given one if there is none."""
        return self._found.get(self._meaning(identity), identity)

    def _meaning(self, identity: Identity) -> str:
        return key_of(self._lab.meaning(identity))
