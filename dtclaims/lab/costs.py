"""What runs and measurements cost, from the table that ships: rows measured on named machines, by device class."""

from dtclaims.lab.design.kinds import network
from dtclaims.lab.design.spec import RunSpec


def shape_of(spec: RunSpec) -> str:
    return f"{spec.scale} {network(spec.arm)} K={spec.context}"
