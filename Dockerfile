# Needs no BuildKit: the layers alone do the caching.

FROM rust:1.95-slim-trixie AS build
WORKDIR /build

# The dependencies, built for empty crates, in a layer that lasts until a manifest or the lock file changes.
COPY Cargo.toml Cargo.lock ./
COPY bench/Cargo.toml bench/
COPY dev/Cargo.toml dev/
COPY dev/fetch/Cargo.toml dev/fetch/
# The clean at the end: cargo compares times, and a checkout older than this layer would pass for built.
RUN mkdir src bench/src dev/src dev/fetch/src \
 && echo 'fn main() {}' | tee src/main.rs bench/src/main.rs dev/src/main.rs dev/fetch/src/main.rs \
 && touch src/lib.rs dev/src/lib.rs \
 && cargo build --release --locked --package actix-postgres-sessions \
 && cargo clean --release --package actix-postgres-sessions

COPY . .
ENV SQLX_OFFLINE=true
RUN cargo build --release --locked --offline --package actix-postgres-sessions \
 && mkdir /state

# The C library, certificates and no shell.
FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=build /build/target/release/actix-postgres-sessions /usr/local/bin/
# A volume mounted here for the first time takes over the owner.
COPY --from=build --chown=65532:65532 /state /var/lib/actix-postgres-sessions
# As numbers: Kubernetes can see that they are not root's.
USER 65532:65532
ENV BIND_ADDRESS=0.0.0.0:8080 \
    LOG_FORMAT=json \
    SESSION_SECRET_FILE=/var/lib/actix-postgres-sessions/session-secret
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["/usr/local/bin/actix-postgres-sessions", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/actix-postgres-sessions"]
