"""The lab of a made-up paper whose scales, tasks, switches and words are like no other's."""

from dtclaims import FunctionLab, Scale, Switch

LAB = FunctionLab(
    "bakery",
    switches=(Switch("oven", published="wood", corrected="electric", meaning="what the loaves are baked in"),),
    scales=(
        Scale("crumb", "crumb: a spoonful of dough. It says nothing of a loaf.", seeds=4, tasks=("rye",)),
        Scale("oven-load", "oven-load: forty loaves at once, as the authors baked them.", needs_gpu=True),
    ),
    tasks=("rye", "spelt"),
    words={
        "scales": {"crumb": "a spoonful of dough", "oven-load": "forty loaves"},
        "run": "flour, hours of proving",
        "values": {"hours": "{} h"},
    },
)


@LAB.quantity
def rise(seed: int, oven: str, hours: int) -> float:
    """How far a dough rises, in millimetres."""
    return 3.0 * hours + 0.1 * seed - (20.0 if oven == "electric" else 0.0)


@LAB.quantity(keeps_files=True)
def weight(seed: int, oven: str, hours: int) -> float:
    """What a loaf of a pound of flour weighs, in grams."""
    return 640.0 - hours - 0.5 * seed


@LAB.quantity(keeps_files=True, packages=("numpy",))
def slices(seed: int, oven: str, hours: int) -> int:
    """Into how many slices a loaf is cut."""
    return 10 + hours


@LAB.quantity(scales=("oven-load",))
def crust(seed: int, oven: str) -> float:
    """How thick the crust is, in millimetres."""
    return 2.0 + 0.01 * seed
