# SPDX-License-Identifier: MIT
"""Revisions of this repository, each built in a worktree of its own inside a scratch folder, as the
preset release builds it, and nothing of it but the benchmarks."""
import subprocess

import interleaved


class Unknown(Exception):
    """No such revision."""


class Unbuilt(Exception):
    """It does not build here; the text ends with what the build said last."""


def run(words, complaint, kind):
    done = subprocess.run(words, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise kind(f"{complaint}: {' '.join(words)}:\n{done.stdout[-2000:].strip()}")


def side(source, revision, folder, tell):
    tree, work = folder / "tree", folder / "work"
    work.mkdir(parents=True)
    tell(f"building {revision}")
    git = ["git", "-C", str(source)]
    run([*git, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"],
        f"{source} has no revision {revision}", Unknown)
    # A clone, not a worktree: it leaves nothing in the repository, however this ends.
    run(["git", "clone", "--quiet", "--shared", "--no-checkout", str(source), str(tree)],
        f"{revision} cannot be taken out", Unbuilt)
    commit = subprocess.check_output([*git, "rev-parse", f"{revision}^{{commit}}"], text=True).strip()
    run(["git", "-C", str(tree), "checkout", "--quiet", "--detach", commit],
        f"{revision} cannot be taken out", Unbuilt)
    for words in (["cmake", "--preset", "release", "-S", str(tree)],
                  ["cmake", "--build", str(tree / "build/release"), "--target", "tmf_bench"]):
        run(words, f"{revision} does not build", Unbuilt)
    return interleaved.Side(tree / "build/release/bench/tmf_bench", work, commit=commit)
