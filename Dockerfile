# syntax=docker/dockerfile:1
FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
# The caches live outside the layers, so the binary is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --locked --release --bin daybook \
    && cp target/release/daybook /usr/local/bin/daybook

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --home-dir /var/lib/daybook daybook \
    && install -d -o daybook -m 0700 /var/lib/daybook /var/lib/daybook-files /var/lib/daybook-operator
COPY --from=build /usr/local/bin/daybook /usr/local/bin/daybook

# The image has no PostgreSQL: DATABASE_URL must be set.
ENV DAYBOOK_LISTEN=0.0.0.0:8080 \
    DAYBOOK_LOG_FORMAT=json
WORKDIR /var/lib/daybook
USER 10001
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["daybook", "health", "--server", "http://127.0.0.1:8080"]
ENTRYPOINT ["daybook"]
CMD ["serve"]
