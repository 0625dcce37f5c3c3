"""What `dtclaims register` does: seal what claims declare before the runs, and check a seal. Needs no torch."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from dtclaims.errors import UsageError
from dtclaims.harness.commands.declared import chosen, settings_of
from dtclaims.harness.commands.parser import FOLDER, ending, option
from dtclaims.harness.lab import Argument, Command, Option
from dtclaims.harness.options import KNOWN, flag

SEALED = ("scale", "protocol", "task", "seeds", "looks")
"""Options whose choices are declared beside the claims."""


def command(own: Sequence[Option]) -> Command:
    """The command, with a lab's own options, which are sealed too."""
    sealed = [*(KNOWN[name] for name in SEALED), *own]

    def register(options: argparse.Namespace) -> int:
        typed = [flag(one) for one in sealed if getattr(options, one.name) is not None]
        if options.check is not None and options.out is None and typed:
            raise UsageError(
                "a seal is checked as it is",
                given=f"--check with {', '.join(typed)}",
                expected="--check FILE, and --claims DIR for claims of another folder",
                remedy="Leave the others out: what was sealed of them stands in the file.",
            )
        return _register(options)

    return Command(
        ("register",),
        "seal what all claims declare, before the first run; or check a seal against today's claims",
        register,
        (
            Argument.of(
                "--out",
                type=ending(".json"),
                metavar="FILE",
                help="write the sealed declaration there (default: none is written)",
            ),
            Argument.of(
                "--check",
                type=Path,
                metavar="FILE",
                help="compare one with today's claims; writes nothing (default: none)",
            ),
            *map(option, sealed),
            FOLDER,
        ),
    )


def _register(options: argparse.Namespace) -> int:
    if (options.out is None) == (options.check is None):
        raise UsageError(
            "one thing at a time",
            given="both" if options.out else "neither",
            expected="--out FILE or --check FILE",
        )
    options.claim = []
    claims, settings = chosen(options), settings_of(options, stored=True)
    # Only here: other commands start without them.
    from dtclaims.harness.judge import registration

    if options.out is not None:
        content = registration.sealed_now(claims, settings)
        registration.write(options.out, content)
        print(f"{len(claims)} claims sealed {content['created']}: {options.out}")
        print(f"SHA-256 {content['digest']}; publish the file before the first run")
        return 0
    sealed = registration.read(options.check)
    print(
        f"{options.check}: as sealed {sealed.created}, {len(sealed.content['claims'])} claims, SHA-256 {sealed.digest}"
    )
    known = {*sealed.claims}
    if known.isdisjoint(one.id for one in claims):
        raise UsageError(
            "the registration is of other claims",
            given=f"{len(claims)} claims in {options.claims}, none of which it seals",
            expected=f"the folder with {', '.join(sorted(known)[:3])}, …",
            remedy="Name it with --claims DIR.",
        )
    otherwise, gone = sealed.differing(claims, settings.lab), sealed.undeclared(claims)
    differing = [name for name in otherwise if name in known]
    new = [name for name in otherwise if name not in known]
    print(*(f"declared otherwise today: {name}" for name in differing), sep="\n", end="\n" * bool(differing))
    print(*(f"not in the seal: {name}" for name in new), sep="\n", end="\n" * bool(new))
    print(*(f"declared no more: {name}" for name in gone), sep="\n", end="\n" * bool(gone))
    return 1 if otherwise or gone else 0
