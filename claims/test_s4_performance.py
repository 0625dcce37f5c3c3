"""Section 4 and Appendix A: performance with context (K = 20)."""

from dtclaims import Need, Paper, above, claim


@claim(
    "S4-gpt2-not-worse",
    section="4",
    headline=True,
    quote="does not negatively affect downstream tasks, rather it even improves performance for some datasets",
    scope="Hopper, medium, K=20. The part that one task can test: not worse by 5 points or more.",
    effect="score, language pre-trained minus random init",
    unit="normalised points",
    needs={
        "language": Need("score", "language_pretrained", context=20),
        "random": Need("score", "random_init", context=20),
    },
    # 5 points: twice the largest two-seed ± of Tables 1 and 2 for a model that learns.
    predicate=above(-5.0),
    paper=Paper("+11.8 (Hopper, two seeds, Table 1)", (11.8,)),
    deviations=(3, 4, 10, 29),
)
def test_gpt2_not_worse(language: float, random: float) -> float:
    """Difference of the two arms' scores on the same seed."""
    return language - random
