"""What a name in a claim means under a protocol: the audit's training switches, one thing each."""

import itertools
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtclaims.errors import UsageError
from dtclaims.harness.lab import Setting
from dtclaims.lab.design.arms import ARMS
from dtclaims.lab.design.scales import SCALES
from dtclaims.lab.design.spec import ROLES, Budget, RunSpec, arm_under, resolve
from dtclaims.lab.design.switches import PROTOCOLS, SWITCHES

PUBLISHED, CORRECTED = PROTOCOLS["published"], PROTOCOLS["corrected"]
NAMES = sorted({*ARMS, *ROLES})


def spec(arm: str = "random_init", protocol: Setting = PUBLISHED, scale: str = "paper", **changes: object) -> RunSpec:
    options = {"task": "hopper", "context": 20, "seed": 0, **changes}
    return resolve(arm=arm, scale=scale, budget=SCALES[scale].budget, protocol=protocol, **options)  # type: ignore[arg-type]


def test_the_published_arms_are_the_reference_s() -> None:
    """Tied head; one head and ReLU for the random arm; eps 1e-6 where a checkpoint is loaded, 1e-8 elsewhere,
    block replacement included (protocol §4; DEV-03, 04, 11)."""
    random, language, block = (spec(arm) for arm in ("random_init", "language_pretrained", "block_3_language"))
    assert {one.head for one in (random, language, block)} == {"tied"}
    assert (random.architecture, block.architecture, language.architecture) == ("reference", "reference", "own")
    assert (random.adam_eps, language.adam_eps, block.adam_eps) == (1e-8, 1e-6, 1e-8)
    assert arm_under("image_pretrained", PUBLISHED)[0] == "image_pretrained"
    assert not random.paired
    assert not random.held_out


def test_the_corrected_arms_differ_in_weights_alone() -> None:
    """One eps, an untied head, the backbone's own architecture, paired data, an error on held-out data; the image arm
    has its own norm and is compared with a random network of its own configuration (DEV-03, 04, 07, 11, 12, 21)."""
    specs = [spec(arm, CORRECTED) for arm in ("random_init", "language_pretrained", "image_pretrained")]
    assert {(one.head, one.adam_eps, one.paired, one.held_out) for one in specs} == {("untied", 1e-8, True, True)}
    assert specs[0].architecture == "matched"
    assert specs[2].arm == "image_native"
    assert arm_under("random_for_image", CORRECTED) == ("random_matched_image", "own")
    assert arm_under("random_for_image", PUBLISHED) == ("random_init", "reference")


def test_names_of_one_network_share_its_runs() -> None:
    """`random_matched` is what `random_init` becomes under `corrected`: the same run, not a copy."""
    assert spec("random_matched", CORRECTED) == spec("random_init", CORRECTED)
    assert spec("random_matched", PUBLISHED) == spec("random_init", PUBLISHED.flipped("random_arch"))


@given(st.sampled_from(NAMES), st.sampled_from(sorted(SWITCHES)), st.sampled_from([PUBLISHED, CORRECTED]))
def test_a_switch_of_measurement_changes_no_run(arm: str, switch: str, protocol: Setting) -> None:
    """Switches that only act on measurements leave every run as it is; the others change at most what they name."""
    before, after = asdict(spec(arm, protocol)), asdict(spec(arm, protocol.flipped(switch)))
    changed = {name for name in before if before[name] != after[name]}
    allowed = {
        "head": {"head"},
        "random_arch": {"arm", "architecture"},
        "adam_eps": {"adam_eps"},
        "igpt_norm": {"arm"},
        "seeding": {"paired"},
        "action_error": {"held_out"},
    }
    assert changed <= allowed.get(switch, set())
    assert protocol.flipped(switch).flipped(switch).switches == protocol.switches


def test_a_need_may_have_a_head_of_its_own() -> None:
    """The tied head at low scale is the audit's third head (DEV-11): a need can ask for it under either protocol, and
    nothing else of the run changes; the MLP has none to choose."""
    for protocol in (PUBLISHED, CORRECTED):
        low = spec(protocol=protocol, head="tied_low_scale")
        assert low == replace(spec(protocol=protocol), head="tied_low_scale")
        assert spec("mlp", protocol, head="tied").head == "untied"


def test_a_need_may_name_adams_epsilon() -> None:
    """A random arm can be given the pre-trained arms' epsilon, or any (DEV-03); nothing else of the run changes."""
    for protocol in (PUBLISHED, CORRECTED):
        for arm in ("random_init", "language_pretrained"):
            assert spec(arm, protocol, adam_eps=3e-7) == replace(spec(arm, protocol), adam_eps=3e-7)


def test_names_are_unique() -> None:
    """Two different runs of one scale never have one name: people read names, not keys."""
    specs = {
        spec(arm, protocol.flipped(switch), context=context, clip=clip, paper_epochs=epochs)
        for arm, protocol, switch, context, clip, epochs in itertools.product(
            NAMES, (PUBLISHED, CORRECTED), ("head", "adam_eps", "seeding"), (1, 20), (True, False), (10, 40)
        )
    }
    assert len({one.name for one in specs}) == len(specs)


def test_checkpoints_are_kept_where_measurements_read_them() -> None:
    """The paper's epochs 1, 4, 10 and 40 of a whole run; none of a short one, of which only curves are read."""
    assert spec().kept_epochs == (1, 4, 10, 40)
    assert spec(paper_epochs=10).kept_epochs == ()
    assert spec(scale="mini").kept_epochs[-1] == SCALES["mini"].budget.epochs


@given(st.integers(1, 400), st.integers(1, 40))
def test_epochs_map_in_order(epochs: int, paper_epoch: int) -> None:
    """Epoch 0 is 0, the last is the last, later epochs of the paper never map to earlier ones of ours."""
    budget = Budget(epochs, 1, 1, 1e-3, 1, 1)
    assert budget.epoch(0) == 0
    assert budget.epoch(40) == epochs
    assert 1 <= budget.epoch(paper_epoch) <= budget.epoch(min(paper_epoch + 1, 40)) <= epochs


def test_unknown_arms_are_refused() -> None:
    """A name that is neither an arm nor a role is named in the error."""
    with pytest.raises(UsageError, match="unknown arm: got 'gpt5'"):
        spec("gpt5")
