# syntax=docker/dockerfile:1
# Two stages: the first builds with the full toolchain, the second carries the program and nothing else.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package fiscald --package ofd-sim

FROM debian:bookworm-slim
RUN useradd --uid 7777 --user-group --home-dir /var/lib/fiscald --create-home --shell /usr/sbin/nologin fiscald \
    && install -d -o fiscald -g fiscald -m 0700 /var/lib/fiscald/data \
    && install -d -m 0755 /etc/fiscald
COPY --from=build /src/target/release/fiscald /src/target/release/kkt-sim /src/target/release/fns-sim /usr/local/bin/
COPY --from=build /src/config/fiscald.toml /etc/fiscald/fiscald.toml
USER 7777:7777
WORKDIR /var/lib/fiscald
# Registers reach 7777; 9464 is for the operator's own network. The journal lies in the volume, never in the layer of
# the container. Keys are mounted under /etc/fiscald/keys and the certificates of the tax service under /etc/fiscald/fns
# (mode 0600, owner 7777), never part of the image; the INN comes as FISCALD__OPERATOR__INN, the tax service as
# FISCALD__FNS__URL, __OFD_ID, __CA, __CERT and __KEY.
ENV FISCALD__INGEST__LISTEN=0.0.0.0:7777 \
    FISCALD__ADMIN__LISTEN=0.0.0.0:9464 \
    FISCALD__STORE__URL=sqlite:/var/lib/fiscald/data/fiscald.db
EXPOSE 7777 9464
VOLUME /var/lib/fiscald/data
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9464 && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["fiscald"]
CMD ["serve", "--config", "/etc/fiscald/fiscald.toml"]
