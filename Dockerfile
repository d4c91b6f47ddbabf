# This adds the crates in Cargo.lock to the SBOM of a release, because the program doesn't list them.
ARG BUILDKIT_SBOM_SCAN_CONTEXT=true
FROM rust:1.95-slim-trixie AS build
WORKDIR /build
COPY . .
ENV SQLX_OFFLINE=true
# BuildKit caches Cargo's downloads and the compiled dependencies between builds.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --package actix-postgres-sessions \
 && cp target/release/actix-postgres-sessions / \
 && mkdir /state

# The final image has the C library and certificates, but no shell.
FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=build /actix-postgres-sessions /usr/local/bin/
# New volumes that are mounted here get the same owner.
COPY --from=build --chown=65532:65532 /state /var/lib/actix-postgres-sessions
# The ID is numeric, so that Kubernetes can verify that the user isn't root.
USER 65532:65532
ENV BIND_ADDRESS=0.0.0.0:8080 \
    LOG_FORMAT=json \
    SESSION_SECRET_FILE=/var/lib/actix-postgres-sessions/session-secret
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["/usr/local/bin/actix-postgres-sessions", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/actix-postgres-sessions"]
