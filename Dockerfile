# The image of the server (and the client). Stages:
#
#   toolchain     Rust for the target platform
#   dependencies  all crates, compiled; a separate layer that changes only with Cargo.lock
#   build         the program
#   server        the released image: the binary, CA certificates, the RDS bundle
#   world         `--target world`: PostgreSQL behind an RDS-like listener, and a fake AWS endpoint, for build/compose.yaml
#
# Digests do not change as tags do, so a commit always builds on the same bases. build/base-images.sh updates the digests.
ARG RUST_IMAGE=rust:1.95-bookworm@sha256:6258907abe69656e41cd992e0b705cdcfabcbbe3db374f92ed2d47121282d4a1
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot@sha256:9dac0a79194e45a7da0158a9c6da57b217585af0786db3845d1f0ec1a0dd182f
ARG POSTGRES_IMAGE=postgres:15-bookworm@sha256:539ceaaae49b3a7c8a04467cf00cc6788d8e3f1675df41860d86eebc4c40524f

# Runs on the platform of the builder and cross-compiles for the target platform: an emulated build takes an hour.
FROM --platform=$BUILDPLATFORM ${RUST_IMAGE} AS toolchain
ARG TARGETARCH
ENV CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=x86_64-linux-gnu-gcc \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
# Packed relocations: 1 MB less in memory. The program then needs glibc 2.36, which the runtime image has.
ENV CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C link-arg=-Wl,-z,pack-relative-relocs"
RUN set -eu; \
    case "${TARGETARCH:-$(dpkg --print-architecture)}" in \
        amd64) target=x86_64-unknown-linux-gnu; packages="gcc-x86-64-linux-gnu libc6-dev-amd64-cross" ;; \
        arm64) target=aarch64-unknown-linux-gnu; packages="gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ;; \
        *) echo "no image for $TARGETARCH" >&2; exit 1 ;; \
    esac; \
    echo "$target" > /target; \
    if ! rustc -vV | grep -qx "host: $target"; then \
        rustup target add "$target"; \
        apt-get update; \
        apt-get install -y --no-install-recommends $packages; \
        rm -rf /var/lib/apt/lists/*; \
    fi
WORKDIR /src

FROM toolchain AS dependencies
# `true` for a build with a mounted cargo registry and without a network.
ARG CARGO_NET_OFFLINE=false
COPY Cargo.toml Cargo.lock ./
COPY build/build.rs build/build.rs
# An empty program with our dependencies. `cargo clean` removes its artifacts: cargo compares modification times and would
# consider them newer than the sources that are copied next.
RUN mkdir src \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs \
    && cargo build --release --locked --target "$(cat /target)" \
    && cargo clean --release --package rds-auth-proxy --target "$(cat /target)" \
    && rm -r src

FROM dependencies AS build
ARG REVISION=unknown
ARG CREATED=unknown
COPY src src
COPY build/ca build/ca
RUN RDS_AUTH_PROXY_BUILD_COMMIT="$(printf %.12s "$REVISION")" RDS_AUTH_PROXY_BUILD_DATE="${CREATED%%T*}" \
        cargo build --release --locked --target "$(cat /target)" \
    && install -D "target/$(cat /target)/release/rds-auth-proxy" /out/rds-auth-proxy \
    && install -d /out/bin \
    && ln -s /usr/local/bin/rds-auth-proxy /out/bin/rds-auth-proxy

FROM ${RUNTIME_IMAGE} AS server
ARG RUNTIME_IMAGE
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="rds-auth-proxy" \
      org.opencontainers.image.description="Reach Postgres on Amazon RDS with an IAM identity and nothing else" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${RUNTIME_IMAGE}"
COPY --from=build /out/rds-auth-proxy /usr/local/bin/rds-auth-proxy
# The path and the home directory of the Go program's image: manifests say `command: ["/bin/rds-auth-proxy"]` and mount AWS
# files at /.aws. Without HOME it would depend on the uid.
COPY --from=build /out/bin/ /bin/
ENV HOME=/
COPY build/ca/rds-bundle.pem /etc/rds-auth-proxy/rds-bundle.pem
# The directory of config.yaml without --configfile.
WORKDIR /etc/rds-auth-proxy
USER 65532:65532
EXPOSE 8000 9090
# The health check reads the same configuration as `server`: from the working directory or RDS_AUTH_PROXY_CONFIGFILE.
# Kubernetes ignores it.
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s --retries=3 CMD ["/usr/local/bin/rds-auth-proxy", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/rds-auth-proxy"]
CMD ["server"]

# The crates of the test world, compiled in the same way.
FROM dependencies AS world-dependencies
RUN mkdir -p src tests/support \
    && echo 'fn main() {}' | tee src/main.rs > tests/support/main.rs \
    && touch src/lib.rs \
    && cargo build --release --locked --target "$(cat /target)" --example world \
    && cargo clean --release --package rds-auth-proxy --target "$(cat /target)" \
    && rm -r src tests

FROM world-dependencies AS world-build
COPY src src
COPY tests tests
COPY build/ca build/ca
RUN cargo build --release --locked --target "$(cat /target)" --example world \
    && install -D "target/$(cat /target)/release/examples/world" /out/world

FROM ${POSTGRES_IMAGE} AS world
COPY --from=world-build /out/world /usr/local/bin/world
COPY --chmod=0755 build/compose-world.sh /usr/local/bin/compose-world
ENTRYPOINT ["/usr/local/bin/compose-world"]
CMD ["/world"]

# `docker build .` builds the last stage.
FROM server
