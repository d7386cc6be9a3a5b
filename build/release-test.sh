#!/usr/bin/env bash
# Tests release.sh, commit-lint.sh and package.sh in temporary repositories, base-images.sh on a copy of the Dockerfile, and
# rules for the workflows. Changes nothing outside a temporary directory.
set -uo pipefail

build=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=0 failed=0
chart=build/helm/rds-auth-proxy/Chart.yaml

# The git settings of this machine must not affect the tests.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test@example.invalid
export GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@example.invalid

check() {
    local name=$1
    shift
    if "$@" >"$scratch/check" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name" >&2
        sed 's/^/    /' "$scratch/check" "$scratch/out" 2>/dev/null >&2
    fi
}
same() { [ "$1" = "$2" ] || { printf 'expected: %s\nfound:    %s\n' "$2" "$1" && false; }; }
says() { grep -qF -- "$1" "$scratch/out"; }
lacks() { ! grep -qF -- "$1" "$scratch/out"; }
refused() { [ "$status" -ne 0 ]; }
succeeded() { [ "$status" -eq 0 ]; }

# Runs release.sh of the temporary repository. Its output goes to $scratch/out, its exit code to $status.
release() {
    status=0
    bash build/release.sh "$@" >"$scratch/out" 2>&1 || status=$?
}
commit() { git commit -q --allow-empty -m "$@"; }
state() { git rev-parse HEAD && git for-each-ref && git status --porcelain && cat CHANGELOG.md Cargo.toml Cargo.lock "$chart"; }
version_of() { awk -F'"' '/^\[package\]/ { p = 1 } p && /^version = / { print $2; exit }' Cargo.toml; }

# A repository with one commit and the version $1; the tests add further commits.
repository() {
    rm -rf "$scratch/repository"
    mkdir -p "$scratch/repository/build" "$scratch/repository/src"
    cd "$scratch/repository" || exit 1
    cp "$build/release.sh" "$build/commit-lint.sh" "$build/package.sh" build/
    printf '[dependencies]\n\n[package]\nname = "rds-auth-proxy"\nversion = "%s"\nedition = "2024"\nrust-version = "1.95"\n' "$1" >Cargo.toml
    printf 'version = 4\n\n[[package]]\nname = "rds-auth-proxy"\nversion = "%s"\n' "$1" >Cargo.lock
    mkdir -p "$(dirname "$chart")"
    printf 'apiVersion: v2\nname: rds-auth-proxy\n# One version.\nversion: %s\nappVersion: %s\nkubeVersion: ">=1.27.0-0"\n' "$1" "$1" >"$chart"
    printf 'fn main() {}\n' >src/main.rs
    printf '/target\n' >.gitignore
    touch LICENSE README.md
    cat >CHANGELOG.md <<'TEXT'
# Changelog

What changes for users.

## [Unreleased]

### Added

- A thing written by hand.

[Keep a Changelog]: https://keepachangelog.com
TEXT
    git init -q -b main
    git add -A
    git commit -q -m "feat: begin"
}
tagged() { repository "$1" && git tag -a "v$1" -m "v$1"; }
# The next version after version $1 and one commit with the given message.
next_after() {
    tagged "$1"
    commit "${@:2}"
    release --dry-run
    sed -n 's/^## \[\(.*\)\] - .*/\1/p' "$scratch/out"
}

tests_of_refusals() {
    repository 0.1.0
    before=$(state)
    echo "// more" >>src/main.rs
    release
    check "a changed file is refused" refused
    check "the error names the reason" says "not committed"
    git checkout -q src/main.rs
    touch new-file
    release
    check "an untracked file is refused" refused
    rm new-file
    git checkout -q -b other
    release
    check "another branch is refused" refused
    check "the error names both branches" says "branch other, not main"
    release --branch other --dry-run
    check "another branch is allowed with --branch" succeeded
    git checkout -q --detach main
    release
    check "a detached HEAD is refused" refused
    git checkout -q main && git branch -q -D other
    check "a refusal changes nothing" same "$(state)" "$before"
    release --no-such-option
    check "an unknown option is a usage error" same "$status" 2

    tagged 0.1.0
    sed -i.old 's/0\.1\.0/0.3.0/' Cargo.toml && rm Cargo.toml.old
    git commit -q -am "feat: raise the version by hand"
    release
    check "a version other than that of the last tag is refused" refused
    check "the error names both versions" says "Cargo.toml says 0.3.0 but the last tag is v0.1.0"

    repository 0.1.0
    printf '# Changelog\n' >CHANGELOG.md
    git commit -q -am "docs: lose the section"
    release
    check "a changelog without Unreleased is refused" refused

    repository 0.1.0
    commit "fix: a"
    git clone -q --depth 1 "file://$scratch/repository" "$scratch/shallow"
    cd "$scratch/shallow" && release
    check "a shallow clone is refused" says "the clone is shallow"
    rm -rf "$scratch/shallow"
}

tests_of_versions() {
    check "fix raises the patch number" same "$(next_after 0.4.2 'fix: a')" 0.4.3
    check "perf raises the patch number" same "$(next_after 1.4.2 'perf(net): a')" 1.4.3
    check "feat raises the minor number" same "$(next_after 0.4.2 'feat: a')" 0.5.0
    check "feat with a scope too" same "$(next_after 1.4.2 'feat(cli): a')" 1.5.0
    check "breaking before 1.0 raises the minor number" same "$(next_after 0.4.2 'fix!: a')" 0.5.0
    check "breaking after 1.0 raises the major number" same "$(next_after 1.4.2 'refactor(cli)!: a')" 2.0.0
    check "a footer BREAKING CHANGE does too" same "$(next_after 1.4.2 'fix: a' -m 'BREAKING CHANGE: b')" 2.0.0
    check "a mention in the body does not" same "$(next_after 1.4.2 'fix: a' -m 'No BREAKING CHANGE: none')" 1.4.3
    check "docs alone make no release" same "$(next_after 1.4.2 'docs: a')" ""
    check "the error names the reason" says "no commit since v1.4.2 changes anything for users"

    tagged 1.0.0
    commit "perf: a" && commit "feat: a" && commit "fix: b" && commit "test: c" && commit "Not conventional"
    release --dry-run
    check "the strongest commit decides" says "## [1.1.0]"
    check "an unconventional message is reported" says "Not conventional"
    release --dry-run -v
    check "-v shows the version bump of each commit" grep -Eq '^patch +[0-9a-f]+ fix: b$' "$scratch/out"
    git checkout -q -b side && commit "docs: d" && git checkout -q main && commit "docs: e"
    git merge -q --no-ff -m "feat!: a merge is not a change" side
    release --dry-run
    check "merge commits do not count" says "## [1.1.0]"
    git tag v1.5.0-rc.1
    release --dry-run
    check "a pre-release tag is not the last release" says "after v1.0.0"

    repository 0.1.0
    release --dry-run
    check "the first release has the version of Cargo.toml" says "## [0.1.0]"
    git tag v0.1.0-old && git checkout -q --orphan fresh && commit "feat: begin again" && git tag v0.1.0 main
    release --branch fresh
    check "a version with a tag on another branch is refused" says "the tag v0.1.0 exists already"
}

tests_of_the_release() {
    tagged 0.1.0
    git init -q --bare "$scratch/remote.git"
    git remote add origin "$scratch/remote.git" && git push -q origin main
    # A dependency with the same version, whose name has the same prefix, must not change.
    printf '[[package]]\nname = "rds-auth-proxy-other"\nversion = "0.1.0"\n\n%s\n' "$(cat Cargo.lock)" >Cargo.lock
    git commit -q -am "feat: a" && git push -q origin main
    before=$(state) remote=$(git ls-remote origin)
    release --dry-run
    check "a dry run succeeds" succeeded
    check "a dry run shows the section" says "- A thing written by hand."
    check "a dry run changes nothing" same "$(state)" "$before"

    release
    check "a release succeeds" succeeded
    check "Cargo.toml has the new version" same "$(version_of)" 0.2.0
    check "rust-version is unchanged" grep -q '^rust-version = "1.95"$' Cargo.toml
    check "Cargo.lock changes only the version of the package" same "$(grep version Cargo.lock | tr '\n' ' ')" \
        'version = "0.1.0" version = 4 version = "0.2.0" '
    check "the commit message is conventional" same "$(git log -1 --format=%s)" "chore(release): v0.2.0"
    check "the commit message passes the lint" bash build/commit-lint.sh HEAD~1..HEAD
    check "the chart has the new version and is otherwise unchanged" same "$(tr '\n' '|' <"$chart")" \
        'apiVersion: v2|name: rds-auth-proxy|# One version.|version: 0.2.0|appVersion: 0.2.0|kubeVersion: ">=1.27.0-0"|'
    check "the commit changes four files" same "$(git show --format= --name-only | LC_ALL=C sort | tr '\n' ' ')" \
        "CHANGELOG.md Cargo.lock Cargo.toml $chart "
    check "the tag is annotated and points to the commit" same "$(git cat-file -t v0.2.0) $(git rev-parse 'v0.2.0^{}')" \
        "tag $(git rev-parse HEAD)"
    check "the tree is clean" same "$(git status --porcelain)" ""
    check "nothing is pushed" same "$(git ls-remote origin)" "$remote"
    check "the changelog section is renamed" same "$(sed -E 's/[0-9]{4}-[0-9]{2}-[0-9]{2}$/DATE/' CHANGELOG.md)" "# Changelog

What changes for users.

## [Unreleased]

## [0.2.0] - DATE

### Added

- A thing written by hand.

[Keep a Changelog]: https://keepachangelog.com"
    check "the date of the section is valid" grep -Eq "^## \[0\.2\.0\] - 20[0-9]{2}-[01][0-9]-[0-3][0-9]$" CHANGELOG.md
    release
    check "a second release without commits is refused" refused

    commit "fix: repair | the & odd \\n \"words\"" && commit "feat(cli): add b" && commit "docs: c"
    commit "refactor!: drop d" && commit "perf: speed up e"
    release
    check "an empty section is filled from the commits" same "$(bash build/release.sh --notes v0.3.0)" "### Changed

- **Breaking:** drop d

### Added

- add b

### Fixed

- repair | the & odd \\n \"words\"
- speed up e"
    check "notes of an older version are printed" same "$(bash build/release.sh --notes 0.2.0)" "### Added

- A thing written by hand."
    release --notes 9.9.9
    check "notes of an unknown version are refused" says "no section for 9.9.9"
}

tests_of_failure() {
    tagged 0.1.0
    commit "feat: a"
    before=$(state)
    printf '#!/bin/sh\nexit 1\n' >.git/hooks/pre-commit && chmod +x .git/hooks/pre-commit
    release
    check "a failed commit fails the release" refused
    check "a failed commit leaves no changes" same "$(state)" "$before"
    rm .git/hooks/pre-commit
    # shellcheck disable=SC2016 # the hook expands it
    printf '#!/bin/sh\ngrep -q refs/tags && [ "$1" = prepared ] && exit 1\nexit 0\n' >.git/hooks/reference-transaction
    chmod +x .git/hooks/reference-transaction
    release
    check "a failed tag fails the release" refused
    check "a failed tag leaves no changes" same "$(state)" "$before"
    rm .git/hooks/reference-transaction
    printf 'version = 4\n' >Cargo.lock && git commit -q -am "fix: break the lock"
    release
    check "a Cargo.lock without the package fails the release" says "Cargo.lock has no version of rds-auth-proxy"
    git reset -q --hard HEAD~1
    printf 'name: rds-auth-proxy\n' >"$chart" && git commit -q -am "fix: break the chart"
    before=$(state)
    release
    check "a chart without a version fails the release" says "Chart.yaml has no version and appVersion"
    check "a chart without a version leaves no changes" same "$(state)" "$before"

    if command -v cargo >/dev/null; then
        tagged 0.1.0
        commit "feat: a"
        release
        check "cargo accepts the lock file" cargo metadata --locked --offline --format-version 1
    fi
}

lint() {
    repository 0.1.0
    commit "$@"
    status=0
    bash build/commit-lint.sh HEAD~1..HEAD >"$scratch/out" 2>&1 || status=$?
}
tests_of_the_lint() {
    local type message
    for type in feat fix docs refactor test perf build chore ci; do
        lint "$type: say what changed"
        check "$type passes" succeeded
    done
    lint "feat(net)!: a" -m "Body." -m "BREAKING CHANGE: b"
    check "scope, mark and footer pass" succeeded
    for message in "Add a thing" "feature: a" "feat:a" "feat: " "Feat: a" "feat(Net): a" "style: a" "fixup! feat: a" \
        'Revert "feat: a"' "feat: ends with a full stop." "feat: $(printf 'x%.0s' $(seq 100))"; do
        lint "$message"
        check "'${message:0:40}' is refused" refused
    done
    lint "feat: a"$'\n'"b"
    check "a second line is refused" says "second line"
    lint "feat: a" -m "Breaking change: b"
    check "a misspelled footer is refused" says "BREAKING CHANGE: what breaks"

    repository 0.1.0
    git checkout -q -b side && commit "docs: a" && git checkout -q main && commit "docs: b"
    git merge -q --no-ff -m "Merge branch 'side'" side
    check "merge commits are ignored" bash build/commit-lint.sh HEAD~1..HEAD
    commit "Bad one" && commit "feat: good" && commit "Bad two"
    bash build/commit-lint.sh HEAD~3..HEAD >"$scratch/out" 2>&1
    check "the first bad commit is named" says "Bad one"
    check "the last bad commit is named" says "Bad two"
    check "good commits are not named" lacks "feat: good"
    check "an invalid range fails" bash -c '! bash build/commit-lint.sh no-such..HEAD'
}

tests_of_the_package() {
    repository 0.1.0
    mkdir -p build/systemd/user build/launchd
    echo unit >build/systemd/user/rds-auth-proxy.service
    echo agent >build/launchd/rds-auth-proxy.plist
    # A fake program: package.sh only runs its completion and man commands.
    cat >"$scratch/rds-auth-proxy" <<'TEXT'
#!/bin/sh
case "$1" in
completion) echo "completions for $2" ;;
man) echo .TH >"$2/rds-auth-proxy.1" ;;
esac
TEXT
    chmod +x "$scratch/rds-auth-proxy"
    local name=rds-auth-proxy-1.2.3-x86_64-unknown-linux-musl
    check "a tar archive is written" bash build/package.sh "$scratch/rds-auth-proxy" v1.2.3 x86_64-unknown-linux-musl "$scratch/dist"
    check "the tar archive has all files" same "$(tar -tzf "$scratch/dist/$name.tar.gz" | grep -v '/$' | sort | sed "s|^$name/||" | tr '\n' ' ')" \
        "$(printf '%s ' CHANGELOG.md LICENSE README.md completions/_rds-auth-proxy completions/_rds-auth-proxy.ps1 \
            completions/rds-auth-proxy.bash completions/rds-auth-proxy.elv completions/rds-auth-proxy.fish \
            man/rds-auth-proxy.1 rds-auth-proxy systemd/user/rds-auth-proxy.service | tr ' ' '\n' | sort | tr '\n' ' ')"
    check "each completion file is for its shell" same \
        "$(tar -xzOf "$scratch/dist/$name.tar.gz" "$name/completions/_rds-auth-proxy")" "completions for zsh"
    check "an archive for macOS is written" bash build/package.sh "$scratch/rds-auth-proxy" v1.2.3 aarch64-apple-darwin "$scratch/dist"
    check "the archive for macOS has the agent, and no unit" same \
        "$(tar -tzf "$scratch/dist/rds-auth-proxy-1.2.3-aarch64-apple-darwin.tar.gz" | grep -E '\.(service|plist)$' | cut -d/ -f2-)" \
        launchd/rds-auth-proxy.plist
    check "the files that package.sh copies exist" ls "$build/systemd/user/rds-auth-proxy.service" "$build/launchd/rds-auth-proxy.plist"
    cp "$scratch/dist/$name.tar.gz" "$scratch/first.tar.gz"
    sleep 1.1
    bash build/package.sh "$scratch/rds-auth-proxy" v1.2.3 x86_64-unknown-linux-musl "$scratch/dist" >"$scratch/out" 2>&1
    if [[ "$(tar --version)" == *GNU* ]]; then
        check "the same input gives the same bytes" cmp "$scratch/first.tar.gz" "$scratch/dist/$name.tar.gz"
    fi
    if command -v python3 >/dev/null; then
        check "a zip archive is written" bash build/package.sh "$scratch/rds-auth-proxy" 1.2.3 x86_64-pc-windows-msvc "$scratch/dist"
        check "the zip archive has the manual page" grep -q man/rds-auth-proxy.1 \
            <(python3 -m zipfile -l "$scratch/dist/rds-auth-proxy-1.2.3-x86_64-pc-windows-msvc.zip")
    fi
    # shellcheck disable=SC2016 # the program expands it
    printf '#!/bin/sh\n[ "$1" != man ]\n' >"$scratch/rds-auth-proxy"
    bash build/package.sh "$scratch/rds-auth-proxy" 1.2.3 some-target "$scratch/dist" >"$scratch/out" 2>&1
    check "a program without completions is refused" says "no completions for bash"
    check "a refused program leaves no archive" bash -c "! ls '$scratch'/dist/*some-target* 2>/dev/null"
}

tests_of_the_base_images() {
    local digest images='s/^ARG [A-Z]*_IMAGE=//p'
    digest=sha256:$(printf 'ab%.0s' $(seq 32))
    rm -rf "$scratch/image" && mkdir -p "$scratch/image/build" "$scratch/image/bin" && cd "$scratch/image" || exit 1
    cp "$build/../Dockerfile" . && cp "$build/base-images.sh" build/
    # A fake docker: prints $answer for the only call.
    # shellcheck disable=SC2016 # the script expands them
    printf '#!/bin/sh\n[ "$1 $2 $3" = "buildx imagetools inspect" ] && echo "$answer"\n' >bin/docker && chmod +x bin/docker
    sed -n "$images" Dockerfile >pinned
    check "the Dockerfile names three base images" same "$(wc -l <pinned)" 3

    status=0
    answer=nothing PATH=$PWD/bin:$PATH bash build/base-images.sh >"$scratch/out" 2>&1 || status=$?
    check "an answer that is not a digest is refused" refused
    check "a refusal keeps the Dockerfile" same "$(sed -n "$images" Dockerfile)" "$(cat pinned)"
    status=0
    answer=$digest PATH=$PWD/bin:$PATH bash build/base-images.sh >"$scratch/out" 2>&1 || status=$?
    check "the base images are looked up" succeeded
    check "each base image has the digest of its tag" same "$(sed -n "$images" Dockerfile)" "$(sed "s/@.*/@$digest/" pinned)"
    check "the rest of the Dockerfile is unchanged" same "$(grep -v '^ARG [A-Z]*_IMAGE=' Dockerfile)" "$(grep -v '^ARG [A-Z]*_IMAGE=' "$build/../Dockerfile")"
}

# The registry of a release is not here: skopeo reads the directories back, and the digests must be those of the manifests.
tests_of_the_oci_directories() {
    command -v jq >/dev/null || return
    repository 0.1.0
    echo chart >chart.tgz
    local digest blob
    digest=$(bash "$build/oci-dir.sh" chart "$scratch/chart-dir" chart.tgz 1.2.3)
    check "the digest of the chart is that of its manifest" same "$digest" \
        "sha256:$(sha256sum "$scratch/chart-dir/manifest.json" | cut -d' ' -f1)"
    check "the chart is the layer" cmp chart.tgz \
        "$scratch/chart-dir/$(jq -r '.layers[0].digest | ltrimstr("sha256:")' "$scratch/chart-dir/manifest.json")"
    check "the configuration of the chart has the version" grep -q '"version":"1.2.3"' \
        "$scratch/chart-dir/$(jq -r '.config.digest | ltrimstr("sha256:")' "$scratch/chart-dir/manifest.json")"
    bash "$build/oci-dir.sh" >"$scratch/out" 2>&1
    check "no arguments are a usage error" same $? 2
    command -v skopeo >/dev/null || return
    for blob in amd64 arm64; do archive "$blob" >"$blob.tar"; done
    digest=$(bash "$build/oci-dir.sh" image "$scratch/image-dir" amd64.tar arm64.tar)
    check "the digest of the image is that of its list" same "$digest" \
        "sha256:$(sha256sum "$scratch/image-dir/manifest.json" | cut -d' ' -f1)"
    check "the image can be copied with its digests" skopeo copy --all --preserve-digests "dir:$scratch/image-dir" "dir:$scratch/copy"
    check "both architectures are in it" same "$(jq -r '.manifests[].platform.architecture' "$scratch/copy/manifest.json" | xargs)" "amd64 arm64"
    check "the health check is in it" same "$(grep -l Healthcheck "$scratch/copy"/* | wc -l | xargs)" 2
    mv amd64.tar other.tar && mv arm64.tar amd64.tar
    bash "$build/oci-dir.sh" image "$scratch/wrong-dir" amd64.tar other.tar >"$scratch/out" 2>&1
    check "an image for another architecture is refused" says "another architecture"
}

# An archive of `docker save` with an empty layer.
archive() {
    local folder=$scratch/archive-$1
    mkdir "$folder"
    tar -cf "$folder/layer.tar" -T /dev/null
    printf '{"architecture":"%s","os":"linux","config":{"Healthcheck":{"Test":["CMD","x"]}},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
        "$1" "$(sha256sum "$folder/layer.tar" | cut -d' ' -f1)" >"$folder/config.json"
    printf '[{"Config":"config.json","RepoTags":["release:%s"],"Layers":["layer.tar"]}]' "$1" >"$folder/manifest.json"
    tar -cf - -C "$folder" config.json layer.tar manifest.json
}

# A third-party action has the permissions of the release, so it is pinned by commit, with its version in a comment.
tests_of_the_workflows() {
    cd "$build/.." || exit 1
    local uses
    uses=$(grep -hE '^[[:space:]-]*uses:' .github/workflows/*.yml .github/actions/*/action.yml | grep -vE 'uses: \./')
    check "the workflows use actions" [ -n "$uses" ]
    check "every action is pinned by commit, with its version" same \
        "$(grep -vE 'uses: [A-Za-z0-9_./-]+@[0-9a-f]{40} # v[0-9]+\.[0-9]+\.[0-9]+$' <<<"$uses")" ""
    check "each action has one pinned commit" same "$(sed -E 's/.*uses: //' <<<"$uses" | sort -u | cut -d@ -f1 | uniq -d)" ""
    check "every script in the workflows exists" same "$(grep -ohE 'bash (build|\.ci)/[a-z./-]+' .github/workflows/*.yml | sort -u |
        while read -r _ script; do [ -f "$script" ] || echo "$script"; done)" ""
    check "docs/releasing.md names every target" same "$(grep -oE 'target: [a-z0-9_-]+' .github/workflows/release.yml | cut -d' ' -f2 |
        while read -r target; do grep -qF "${target#*-}" docs/releasing.md || echo "$target"; done)" ""
    check "every workflow starts without permissions" same "$(grep -Lx 'permissions: {}' .github/workflows/*.yml)" ""
    check "every job has a time limit" same "$(awk '
        FNR == 1 { jobs = 0 } /^jobs:/ { jobs = 1 } jobs && /^  [a-z-]+:$/ { if (job && !limit) print FILENAME, job; job = $1; limit = 0 }
        /^    (timeout-minutes|uses):/ { limit = 1 } END { if (!limit) print FILENAME, job }' .github/workflows/*.yml)" ""
}

tests_of_refusals
tests_of_versions
tests_of_the_release
tests_of_failure
tests_of_the_lint
tests_of_the_package
tests_of_the_base_images
tests_of_the_oci_directories
tests_of_the_workflows
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
