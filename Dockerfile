# syntax=docker/dockerfile:1
# Afterimage as a container: `docker build -t afterimage .`, then see docs/PACKAGING.md.

FROM node:24-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
# The build needs the compiler, which is one of the development dependencies, and none of the install scripts.
RUN npm ci --include=dev --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json tsconfig.types.json ./
COPY scripts/build.js scripts/
COPY LICENSE README.md ./
COPY bin bin
COPY config config
COPY docs docs
COPY page page
COPY src src
RUN npm pack --pack-destination /tmp && mv /tmp/afterimage-*.tgz /tmp/afterimage.tgz

FROM node:24-slim
COPY --from=build /tmp/afterimage.tgz /tmp/afterimage.tgz
RUN npm install --global --ignore-scripts --no-audit --no-fund /tmp/afterimage.tgz \
  && rm /tmp/afterimage.tgz \
  && npm cache clean --force \
  && useradd --uid 10001 --create-home --home-dir /var/lib/afterimage afterimage \
  && install -d -o afterimage -g afterimage /srv/afterimage /data
# `state`, the mailbox, and the databases; run with the user that owns the databases (--user) where that is another one.
VOLUME ["/var/lib/afterimage", "/srv/afterimage", "/data"]
USER afterimage
WORKDIR /var/lib/afterimage
# The daemon ends in order on SIGTERM; `docker stop` should leave it 90 seconds.
STOPSIGNAL SIGTERM
# Only whether this daemon lives: what is wrong elsewhere is no reason to start the container again. It needs the member's `http`
# section, on its usual port; take it away with --no-healthcheck where there is none.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8008/liveness').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["afterimage", "--config", "/etc/afterimage.yaml"]
CMD ["run"]
