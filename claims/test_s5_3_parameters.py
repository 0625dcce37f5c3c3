"""Section 5.3, Appendices F and J.3: how far the parameters move."""

from dtclaims import Need, Paper, above, claim


@claim(
    "S5.3-l2-small-gpt2",
    section="5.3",
    headline=True,
    quote="l2 distance is small and cosine similarity is large for pre-trained models",
    scope="Hopper, medium, K=20, blocks only, first against last epoch",
    effect="displacement of the random arm over that of the language arm",
    unit="ratio",
    needs={
        "random": Need("displacement", "random_init", context=20),
        "language": Need("displacement", "language_pretrained", context=20),
    },
    # 1.25: the smallest ratio the inventory calls larger.
    predicate=above(1.25, null=1.0),
    paper=Paper("276 / 150 = 1.84 (seed 666), 281 / 153 = 1.84 (seed 42) [fig. 3]", (276 / 150, 281 / 153)),
    deviations=(3, 4, 19),
)
def test_l2_small(random: float, language: float) -> float:
    """How many times further the random arm's blocks move than the language arm's."""
    return random / language
