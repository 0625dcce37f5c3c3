"""The two protocols and the audited switches between them (the audit's table, DEV-nn).

`published` is what the reference code really does; `corrected` removes the confounds. A switch is
one audited difference. Switches of training decide which runs a claim needs, switches of
measurement how those runs are read: two protocols that agree on the former share their runs.
"""

from dtclaims.harness.lab import Setting, Switch, protocols_of

SWITCHES: dict[str, Switch] = {
    switch.name: switch
    for switch in (
        Switch(
            "head",
            "tied",
            "untied",
            ("DEV-11",),
            "training",
            "the action head shares the action embedding's weight and starts saturated, or has a weight of its own",
        ),
        Switch(
            "random_arch",
            "reference",
            "matched",
            ("DEV-04",),
            "training",
            "the random arm has one head and ReLU, or exactly the language backbone's configuration",
        ),
        Switch(
            "adam_eps",
            "by_arm",
            "equal",
            ("DEV-03",),
            "training",
            "Adam's epsilon is 1e-6 for pre-trained and 1e-8 for random arms, or 1e-8 for all",
        ),
        Switch(
            "igpt_norm",
            "layer",
            "native",
            ("DEV-07",),
            "training",
            "image weights run in LayerNorm with new zero biases, or with their own RMS norm",
        ),
        Switch(
            "seeding",
            "weights",
            "everything",
            ("DEV-21", "DEV-22"),
            "both",
            "only weights are paired by seed and analysis windows are the same for all seeds, or data order and "
            "analysis windows too are drawn per seed and shared by its arms",
        ),
        Switch(
            "action_error",
            "last_batch",
            "held_out",
            ("DEV-12",),
            "both",
            "action error is the loss of the epoch's last minibatch, dropout on, smoothed with a biased filter, "
            "or the error on trajectories kept out of training",
        ),
        Switch(
            "cka_axis",
            "unit",
            "token",
            ("DEV-01",),
            "measurement",
            "CKA of one hidden unit over the token positions, or of the full width at one token, beside what the "
            "networks' common inputs give",
        ),
        Switch(
            "mi_estimator",
            "in_sample",
            "held_out",
            ("DEV-02", "DEV-20", "DEV-24"),
            "measurement",
            "mutual information read on the samples the estimator was trained on, raw, "
            "or on held-out samples, standardised, less its null",
        ),
        Switch(
            "grad_mode",
            "as_built",
            "eval",
            ("DEV-05",),
            "measurement",
            "per-sample gradients with dropout on for random and off for pre-trained arms, or off for all",
        ),
        Switch(
            "grad_norm",
            "clipped_share",
            "unclipped",
            ("DEV-06", "DEV-34"),
            "measurement",
            "the blocks' share of a gradient clipped to 0.25, or the whole gradient before clipping",
        ),
        Switch(
            "block_sham",
            "none",
            "subtracted",
            ("DEV-13",),
            "measurement",
            "a replaced block is compared with the random arm, or with sham blocks of its scale and type",
        ),
        Switch(
            "att_dist",
            "fused",
            "causal",
            ("DEV-08",),
            "measurement",
            "change of the attention distance under a softmax over all keys with heads fused, "
            "or of attention itself, per head and causal",
        ),
        Switch(
            "context",
            "one",
            "twenty",
            ("DEV-08",),
            "measurement",
            "attention is read of runs that were trained without a context to attend to, or of runs that had one",
        ),
        Switch(
            "cos_tensors",
            "all",
            "relative",
            ("DEV-19",),
            "measurement",
            "L2 distance summed over all tensors, or relative to the initial norm",
        ),
        Switch(
            "selection",
            "best",
            "last_quarter",
            ("DEV-10",),
            "measurement",
            "score of the best epoch, chosen on that same number, or the mean of the last quarter of epochs",
        ),
        Switch(
            "score_refs",
            "dataset_means",
            "d4rl",
            ("DEV-29",),
            "measurement",
            "scores relative to mean dataset returns, or to D4RL's constants",
        ),
    )
}


PROTOCOLS: dict[str, Setting] = protocols_of(SWITCHES)
