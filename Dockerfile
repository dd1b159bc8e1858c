# A static binary, and nothing else in the image.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /gatepost
COPY . .
# With a target named, build scripts and macros are not built as static binaries, which would fail.
RUN RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --release --locked --target "$(rustc --print host-tuple)" \
    && cp target/*/release/gatepost /gatepost/gatepost.static

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /gatepost/gatepost.static /gatepost
# It listens on a loopback address: run it in the network namespace of the service that asks.
ENTRYPOINT ["/gatepost"]
