"""Runs the unit tests' properties for as long as one likes; see README.md here."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import random
import re
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: What is tried: properties that Hypothesis gives all that they take, by the module they are in.
TARGETS = {
    "tests.unit.domain.test_same_verdict": ["test_however_a_domain_is_edited"],
    "tests.unit.domain.test_domain_xml": ["test_any_container_is_read_back_from_its_xml"],
    "tests.unit.runtime.test_any_input": [
        "test_any_bytes_are_refused_in_a_sentence_or_as_they_should_be"
    ],
    "tests.unit.runtime.test_controller": ["test_whatever_comes_in_no_namespace_is_shared"],
    "tests.unit.runtime.test_any_orders": ["test_what_is_ordered_is_done"],
    "tests.unit.runtime.test_any_status": [
        "test_they_are_those_of_its_interfaces_and_no_others",
        "test_what_is_no_document_names_none",
    ],
    "tests.unit.fleet.test_any_fleet": [
        "test_yaml_and_toml_ask_for_the_same",
        "test_however_a_file_is_edited",
    ],
    "tests.unit.fleet.test_difference": ["test_so_it_is_of_any_container"],
    "tests.unit.cli.test_user_words": [
        "test_whatever_somebody_writes_is_understood_or_told_in_a_sentence"
    ],
    "tests.unit.mac.test_smack_rules": [
        "test_a_label_is_accepted_only_if_the_kernel_keeps_it_whole"
    ],
    "tests.unit.mac.test_selinux_context": ["test_any_text_is_a_context_or_none"],
    "tests.unit.mac.test_denials": [
        "test_under_smack_what_a_record_says_comes_to_one_rule_or_to_none",
        "test_under_selinux_what_is_no_context_is_never_added",
    ],
    "tests.unit.rootfs.test_rootfs_members": ["test_no_line_breaks_the_check"],
    "tests.unit.rootfs.test_any_archive": [
        "test_no_member_leads_out_of_the_tree",
        "test_any_bytes_are_unpacked_or_refused",
    ],
}
_LONGEST = 4096  # bytes that Hypothesis makes one example of
_DONE = re.compile(r"Done (\d+) (?:runs|in)")


def main() -> int:
    """Exit status: 1 when some property did not hold."""
    words = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    words.add_argument("--seconds", type=int, default=60, help="for each property (60)")
    words.add_argument("--seed", type=int, default=random.randrange(2**31), help="of all examples")
    words.add_argument("--only", default="", help="those with this in their name")
    words.add_argument("--one", help=argparse.SUPPRESS)
    said = words.parse_args()
    if said.one:
        return _one(said.one, said.seconds, said.seed)
    names = [f"{module}:{name}" for module, found in TARGETS.items() for name in found]
    how = "by coverage, with atheris" if _has_atheris() else "at random: there is no atheris here"
    print(f"{said.seconds} s for each property, {how}; seed {said.seed}", flush=True)
    failed = [
        name for name in names if said.only in name and not _tried(name, said.seconds, said.seed)
    ]
    for name in failed:
        print(f"python -m tests.fuzz --seed {said.seed} --only {name}: does not hold")
    return bool(failed)


def _has_atheris() -> bool:
    return importlib.util.find_spec("atheris") is not None


def _tried(name: str, seconds: int, seed: int) -> bool:
    """Try one property in a process of its own, as libFuzzer ends the one that it is in."""
    words = ["--one", name, "--seconds", str(seconds), "--seed", str(seed)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    runs = _DONE.search(done.stdout)
    print(f"{int(runs[1]) if runs else 0:>12,}  {name.partition(':')[2]}", flush=True)
    if done.returncode or runs is None:
        print(done.stdout)
    return done.returncode == 0 and runs is not None


def _one(name: str, seconds: int, seed: int) -> int:
    """Try one property here, for that long."""
    if _has_atheris():
        Path(".fuzz").mkdir(exist_ok=True)  # what libFuzzer keeps of what does not hold
        import atheris  # noqa: PLC0415  (not where there is none)

        with atheris.instrument_imports(include=["virtsec"]):
            once = _once(name)
        atheris.Setup(
            [name, f"-max_total_time={seconds}", f"-seed={seed or 1}", f"-max_len={_LONGEST}",
             "-len_control=0", "-timeout=60", "-rss_limit_mb=2048", "-artifact_prefix=.fuzz/"],
            once,
        )  # fmt: skip
        atheris.Fuzz()  # never returns
    once = _once(name)
    chance = random.Random(seed)
    end, runs = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        once(chance.randbytes(chance.randrange(_LONGEST)))
        runs += 1
    print(f"Done {runs} runs")
    return 0


def _once(name: str) -> Callable[[bytes], Any]:
    """Tries a property with the example that Hypothesis makes of some bytes."""
    module, _, function = name.partition(":")
    with_bytes = getattr(importlib.import_module(module), function).hypothesis.fuzz_one_input

    def once(data: bytes) -> None:
        try:
            with_bytes(data)
        except BaseException as error:
            for frame, _ in traceback.walk_tb(error.__traceback__):
                if frame.f_code.co_name == function:
                    print(f"It does not hold of {frame.f_locals}", flush=True)
            raise

    return once


if __name__ == "__main__":
    sys.exit(main())
