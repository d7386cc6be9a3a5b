#!/usr/bin/env bash
# Makes a release of the current commit: computes the version, updates the changelog, commits and tags. Never pushes.
# Runs with bash 3.2 (macOS) and needs no network. docs/releasing.md describes the whole process.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly PACKAGE=rds-auth-proxy
readonly CHART=build/helm/rds-auth-proxy/Chart.yaml
work=$(mktemp -d)
undo_to=''

usage() {
    cat <<'TEXT'
Usage: build/release.sh [--dry-run] [-v] [--branch NAME]
       build/release.sh --notes VERSION

  --dry-run        show the version and the changelog section, change nothing
  -v, --verbose    show each commit and its version bump
  --branch NAME    release from NAME instead of main
  --notes VERSION  print the changelog section of VERSION
TEXT
}

refuse() {
    echo "No release: $*" >&2
    exit 1
}

# Undoes a release that failed half-way. The tree was clean before, so no changes are lost.
clean_up() {
    rm -r "$work"
    [ -z "$undo_to" ] || git reset -q --hard "$undo_to"
}

main() {
    local dry_run=false verbose=false branch=main
    while [ "$#" -gt 0 ]; do
        case "$1" in
        --dry-run) dry_run=true ;;
        -v | --verbose) verbose=true ;;
        --branch) branch=${2:?"--branch needs a name"} && shift ;;
        --notes) notes "${2:?"--notes needs a version"}" && exit ;;
        -h | --help) usage && exit ;;
        *) usage >&2 && exit 2 ;;
        esac
        shift
    done

    check_tree "$branch"
    local last bump version body
    last=$(git describe --tags --abbrev=0 --match 'v[0-9]*.[0-9]*.[0-9]*' --exclude '*-*' 2>/dev/null || true)
    bump=$(strongest_bump "${last:+$last..}HEAD" "$verbose")
    version=$(next_version "$last" "$bump")
    if git rev-parse -q --verify "refs/tags/v$version" >/dev/null; then
        refuse "the tag v$version exists already"
    fi
    body=$(section_body "${last:+$last..}HEAD")

    printf '## [%s] - %s\n\n%s\n' "$version" "$(date -u +%F)" "$body"
    if "$dry_run"; then
        printf '\nNothing was changed. The release would be v%s, after %s.\n' "$version" "${last:-no release}"
    else
        record "$version" "$body"
        printf '\nTagged v%s. To publish it: git push --atomic origin %s v%s\n' "$version" "$branch" "$version"
    fi
}

check_tree() {
    local current
    current=$(git symbolic-ref -q --short HEAD) || refuse "HEAD is detached; check out $1"
    [ "$current" = "$1" ] || refuse "this is branch $current, not $1 (--branch $current if you mean it)"
    [ -z "$(git status --porcelain)" ] || refuse "the tree has changes that are not committed (git status shows them)"
    [ "$(git rev-parse --is-shallow-repository)" = false ] || refuse "the clone is shallow; git fetch --unshallow --tags first"
    grep -Eq '^## \[?Unreleased\]?$' CHANGELOG.md || refuse "CHANGELOG.md has no section '## [Unreleased]'"
}

# The strongest version bump of the commits in a range: major, minor, patch or none. Verbose: prints that of each commit
# on standard error.
strongest_bump() {
    local strongest=none commit bump
    for commit in $(git rev-list --no-merges --reverse "$1"); do
        bump=$(bump_of "$commit")
        if "$2"; then
            printf '%-7s %s\n' "$bump" "$(git log -1 --format='%h %s' "$commit")" >&2
        elif [ "$bump" = unclear ]; then
            echo "Ignored, because its message is not conventional: $(git log -1 --format='%h %s' "$commit")" >&2
        fi
        case "$strongest,$bump" in
        *,major) strongest=major ;;
        none,minor | patch,minor) strongest=minor ;;
        none,patch) strongest="patch" ;;
        esac
    done
    echo "$strongest"
}

bump_of() {
    local message subject
    message=$(git log -1 --format=%B "$1")
    subject=${message%%$'\n'*}
    if [[ "$subject" =~ ^[a-z]+(\([^\)]*\))?!:\  ]] || grep -Eq '^BREAKING[ -]CHANGE: ' <<<"$message"; then
        echo major
    elif [[ "$subject" =~ ^feat(\([^\)]*\))?:\  ]]; then
        echo minor
    elif [[ "$subject" =~ ^(fix|perf)(\([^\)]*\))?:\  ]]; then
        echo patch
    elif [[ "$subject" =~ ^[a-z]+(\([^\)]*\))?:\  ]]; then
        echo none
    else
        echo unclear
    fi
}

# The first release has the version in Cargo.toml. Before 1.0 a breaking change raises the minor number.
next_version() {
    local current major minor patch
    current=$(awk '/^\[/ { in_package = ($0 == "[package]") } in_package && /^version = / { gsub(/"/, "", $3); print $3; exit }' Cargo.toml)
    if [ -z "$1" ]; then
        echo "$current" && return
    fi
    [ "v$current" = "$1" ] || refuse "Cargo.toml says $current but the last tag is $1; change one of them first"
    IFS=. read -r major minor patch <<<"$current"
    case "$2,$major" in
    none,*) refuse "no commit since $1 changes anything for users (feat, fix, perf or a breaking change)" ;;
    major,0 | minor,*) echo "$major.$((minor + 1)).0" ;;
    major,*) echo "$((major + 1)).0.0" ;;
    patch,*) echo "$major.$minor.$((patch + 1))" ;;
    esac
}

# The text under Unreleased, or, if it is empty, the subjects of the commits.
section_body() {
    local text
    text=$(section Unreleased)
    if [ -n "$text" ]; then
        echo "$text"
        return
    fi
    {
        entries Changed "$1" major '**Breaking:** '
        entries Added "$1" minor
        entries Fixed "$1" patch
    } | cat -s
}

# The commits of a range with the given bump, as a section of the changelog.
entries() {
    local commit list=''
    for commit in $(git rev-list --no-merges --reverse "$2"); do
        if [ "$(bump_of "$commit")" = "$3" ]; then
            list="$list- ${4:-}$(git log -1 --format=%s "$commit" | sed -E 's/^[a-z]+(\([^)]*\))?!?: //')"$'\n'
        fi
    done
    [ -z "$list" ] || printf '### %s\n\n%s\n' "$1" "$list"
}

# The text under a heading of the changelog, without leading and trailing empty lines.
section() {
    awk -v name="$1" '
        /^## / { inside = ($2 == name || $2 == "[" name "]"); next }
        /^\[[^]]+\]: / { inside = 0 }
        inside { text = text $0 "\n" }
        END { sub(/^\n+/, "", text); sub(/\n+$/, "", text); if (text != "") print text }
    ' CHANGELOG.md
}

notes() {
    local text
    text=$(section "${1#v}")
    [ -n "$text" ] || refuse "CHANGELOG.md has no section for ${1#v}"
    echo "$text"
}

record() {
    undo_to=$(git rev-parse HEAD)
    release_changelog "$1" "$2"
    set_version "$1" Cargo.toml '^\[package\]$'
    set_version "$1" Cargo.lock "^name = \"$PACKAGE\"\$"
    set_chart_version "$1"
    git commit -q -m "chore(release): v$1" -- CHANGELOG.md Cargo.toml Cargo.lock "$CHART"
    git tag -a "v$1" -m "v$1"
    undo_to=''
}

release_changelog() {
    BODY=$2 awk -v heading="[$1] - $(date -u +%F)" '
        /^## / { skip = 0 }
        /^\[[^]]+\]: / { skip = 0 }
        !skip { print }
        /^## \[?Unreleased\]?$/ { printf "\n## %s\n\n%s\n\n", heading, ENVIRON["BODY"]; skip = 1 }
    ' CHANGELOG.md >"$work/new"
    replace CHANGELOG.md
}

# Writes the version to the first `version = ` line after a line that matches the pattern.
set_version() {
    PATTERN=$3 awk -v version="$1" '
        found == 1 && /^version = / { $0 = "version = \"" version "\""; found = 2 }
        { print }
        !found && $0 ~ ENVIRON["PATTERN"] { found = 1 }
        END { exit (found != 2) }
    ' "$2" >"$work/new" || refuse "$2 has no version of $PACKAGE"
    replace "$2"
}

# Chart and program are released together and have the same version.
set_chart_version() {
    awk -v version="$1" '
        /^(version|appVersion): / { $0 = $1 " " version; found++ }
        { print }
        END { exit (found != 2) }
    ' "$CHART" >"$work/new" || refuse "$CHART has no version and appVersion"
    replace "$CHART"
}

# Replaces the content and keeps the mode of the file.
replace() {
    cat "$work/new" >"$1"
}

trap clean_up EXIT
main "$@"
