"""What a wheel carries beside the package: files of the checkout that judging needs, found by `dtclaims.places`."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SHIPPED = (
    "claims/*.py",
    "claims/paper.json",
    "claims/k1_head/*.py",
    "claims/k1_head/paper.json",
    "claims/evidence/*.json",
    "claims/evidence/*.json.gz",
    "dtclaims/docs/*.md",
    "dtclaims/examples/**/*",
    "fixtures/costs.json",
    "fixtures/references*.json",
    "fixtures/paper/*",
)


class Shipped(BuildHookInterface[Any]):
    """Puts them into `dtclaims/_shipped`; an editable installation reads the checkout itself."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files."""
        if version == "editable":
            return
        root = Path(self.root)
        for pattern in SHIPPED:
            for path in root.glob(pattern):
                if path.is_file() and "__pycache__" not in path.parts:
                    build_data["force_include"][str(path)] = f"dtclaims/_shipped/{path.relative_to(root).as_posix()}"
