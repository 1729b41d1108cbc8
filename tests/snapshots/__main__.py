"""`make snapshots`: write the snapshots, and print the entries that the changelog needs."""

import sys

from tests.snapshots.versions import CHANGELOG, SNAPSHOTS, problems, updated

for snapshot in SNAPSHOTS:
    changelog = CHANGELOG.read_text()
    text = updated(snapshot, snapshot.path.read_text(), changelog)
    snapshot.path.write_text(text)
    for problem in problems(snapshot, text, changelog):
        sys.stdout.write(problem + "\n")
