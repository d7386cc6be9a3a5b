#!/usr/bin/env bash
# Checks the messages of a range of commits: build/commit-lint.sh origin/main..HEAD
# The next version and the release notes are computed from them, so a slip here becomes a wrong version there.
set -euo pipefail

readonly TYPES='feat|fix|docs|refactor|test|perf|build|chore|ci'
readonly HEADER="^($TYPES)(\\([a-z0-9][a-z0-9._/-]*\\))?!?: [^[:space:]]"
readonly LONGEST_SUBJECT=100

# Prints one line for each fault of the message on standard input.
faults() {
    local subject second line
    IFS= read -r subject || true
    [[ "$subject" =~ $HEADER ]] ||
        echo "begin with TYPE: or TYPE(scope): where TYPE is one of ${TYPES//|/ }, then say what changed"
    [ "${#subject}" -le "$LONGEST_SUBJECT" ] ||
        echo "shorten the first line to $LONGEST_SUBJECT characters; it has ${#subject}"
    case "$subject" in *.) echo "end the first line without a full stop" ;; esac
    if IFS= read -r second && [ -n "$second" ]; then
        echo "leave the second line empty"
    fi
    while IFS= read -r line; do
        if [[ "$line" =~ ^[Bb][Rr][Ee][Aa][Kk][Ii][Nn][Gg][\ -][Cc][Hh][Aa][Nn][Gg][Ee] ]] &&
            ! [[ "$line" =~ ^BREAKING[\ -]CHANGE:\ [^[:space:]] ]]; then
            echo "write a breaking change as 'BREAKING CHANGE: what breaks and what to do'"
        fi
    done
}

if [ "$#" -ne 1 ]; then
    echo "Usage: build/commit-lint.sh RANGE    (for example origin/main..HEAD)" >&2
    exit 2
fi

commits=$(git rev-list --no-merges --reverse "$1" --)
failed=0
for commit in $commits; do
    found=$(git log -1 --format=%B "$commit" | faults)
    [ -n "$found" ] || continue
    failed=$((failed + 1))
    git log -1 --format='%h %s' "$commit" >&2
    while IFS= read -r fault; do echo "    $fault" >&2; done <<<"$found"
done

if [ "$failed" -gt 0 ]; then
    echo "$failed commit message(s) in $1 need another wording: git rebase -i, then reword" >&2
    exit 1
fi
