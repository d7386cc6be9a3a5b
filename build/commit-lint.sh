#!/usr/bin/env bash
# Checks the commit messages of a range: build/commit-lint.sh origin/main..HEAD
# The next version and the release notes are computed from them, so a wrong message gives a wrong version.
set -euo pipefail

readonly TYPES='feat|fix|docs|refactor|test|perf|build|chore|ci'
readonly HEADER="^($TYPES)(\\([a-z0-9][a-z0-9._/-]*\\))?!?: [^[:space:]]"
readonly LONGEST_SUBJECT=100

# Reads a commit message from standard input and prints one line for each problem.
problems() {
    local subject second line
    IFS= read -r subject || true
    [[ "$subject" =~ $HEADER ]] ||
        echo "begin with TYPE: or TYPE(scope): (TYPE is one of ${TYPES//|/ }), then a subject"
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
    found=$(git log -1 --format=%B "$commit" | problems)
    [ -n "$found" ] || continue
    failed=$((failed + 1))
    git log -1 --format='%h %s' "$commit" >&2
    while IFS= read -r problem; do echo "    $problem" >&2; done <<<"$found"
done

if [ "$failed" -gt 0 ]; then
    echo "$failed commit message(s) in $1 do not follow the rules: git rebase -i, then reword" >&2
    exit 1
fi
