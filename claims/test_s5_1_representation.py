"""Section 5.1, Appendices D and J.1: representations before and after fine-tuning (CKA)."""

from dtclaims import Need, Paper, above, claim, mean


@claim(
    "S5.1-cka-random-higher-gpt2",
    section="5.1",
    headline=True,
    quote="the CKAs of the randomly initialized model seem to be higher than pre-trained models across layers",
    scope="Hopper, medium, K=20, state token, first against last epoch",
    effect="mean CKA over layers, random init minus language pre-trained",
    unit="CKA",
    needs={
        "random": Need("cka", "random_init", context=20),
        "language": Need("cka", "language_pretrained", context=20),
    },
    predicate=above(0.0),
    paper=Paper("+0.055 (seed 666), +0.039 (seed 42) on Hopper [fig. 1]", (0.055, 0.039)),
    deviations=(1, 3, 4, 40),
)
def test_cka_random_higher(random: dict[str, float], language: dict[str, float]) -> float:
    """How much closer to its initial representation the random arm stays than the language arm."""
    return mean(random.values()) - mean(language.values())
