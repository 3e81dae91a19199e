# The images of Millstream. The last stage is the program's; the one for the
# Spark engine is built by `--target spark`.
#
#   docker build -t millstream:local .
#   docker build -t millstream-spark:local --target spark .

# VERSION of what is built, as `millstream version` tells it.
ARG VERSION=dev
ARG GO_VERSION=1.26.8
ARG SPARK_VERSION=4.2.0

FROM golang:${GO_VERSION}-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION
# PostgreSQL's own parser in C starts in a millisecond, where the portable one
# takes a second; linked statically, it needs no libc in the image.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=1 go build -buildvcs=false -trimpath -tags pgquery_cgo,netgo,osusergo \
    -ldflags "-s -w -linkmode external -extldflags -static -X github.com/millstream-dev/millstream/internal/version.Version=${VERSION}" \
    -o /out/millstream ./cmd/millstream

# What Spark lacks: its connector to Kafka and PostgreSQL's driver, by checksum.
FROM golang:${GO_VERSION}-bookworm AS jars
COPY deploy/spark/jars.sha256 /jars/
WORKDIR /jars
RUN while read -r sum path; do \
        echo "${sum}  ${path##*/}" >> sums && curl -fsSLO "https://repo1.maven.org/maven2/${path}" || exit 1; \
    done < jars.sha256 && sha256sum -c sums && rm sums jars.sha256

FROM apache/spark:${SPARK_VERSION}-scala2.13-java17-python3-ubuntu AS spark
ARG VERSION
LABEL org.opencontainers.image.title="Millstream for Apache Spark" \
      org.opencontainers.image.description="Spark, the connectors and the program that runs a pipeline on them" \
      org.opencontainers.image.source="https://github.com/millstream-dev/millstream" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
USER 0
RUN install -d -o 185 -g 185 /var/lib/millstream/checkpoint
COPY --from=jars /jars /opt/millstream/jars
COPY --from=build /out/millstream /usr/local/bin/millstream
ENV SPARK_HOME=/opt/spark \
    MILLSTREAM_SPARK_JARS=/opt/millstream/jars \
    SPARK_CHECKPOINT_LOCATION=/var/lib/millstream/checkpoint
# The user of Spark's own image.
USER 185
WORKDIR /tmp
VOLUME /var/lib/millstream/checkpoint
ENTRYPOINT ["millstream"]
# The driver's interface: it is there as long as the application runs.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["millstream", "healthcheck", "--quiet", "http://127.0.0.1:4040/api/v1/applications"]

FROM scratch AS millstream
ARG VERSION
LABEL org.opencontainers.image.title="Millstream" \
      org.opencontainers.image.description="Keeps PostgreSQL tables up to date from Kafka topics, exactly once" \
      org.opencontainers.image.source="https://github.com/millstream-dev/millstream" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/millstream /usr/local/bin/millstream
COPY LICENSE /LICENSE
ENV PATH=/usr/local/bin
USER 65532:65532
EXPOSE 5000
ENTRYPOINT ["millstream"]
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 \
    CMD ["millstream", "healthcheck", "--quiet"]
