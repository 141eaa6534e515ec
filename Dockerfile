# syntax=docker/dockerfile:1

# Stage 1 has pip and whatever building needs; nothing but the finished environment leaves it.
FROM python:3.13-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_COMPILE=1
WORKDIR /src

# The packages first: they change less often than the code, and this layer is then taken from the cache.
COPY requirements.lock ./
RUN sed '/^# --- to build/,$d' requirements.lock > runtime.txt \
 && sed -n '/^# --- to build/,/^# --- development/p' requirements.lock > build.txt \
 && python -m venv --without-pip /opt/sidecar \
 && pip --python /opt/sidecar/bin/python install --only-binary :all: --require-hashes -r runtime.txt \
 && pip install --only-binary :all: --require-hashes -r build.txt

COPY pyproject.toml README.md LICENSE ./
COPY sidecar ./sidecar
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && pip --python /opt/sidecar/bin/python install --no-deps /wheels/*.whl \
 && python -m compileall -q /opt/sidecar/lib

# Stage 2 is the interpreter and /opt/sidecar: no compiler, no pip, no cache.
FROM python:3.13-slim

RUN pip uninstall --yes pip \
 && install -d -o 65532 -g 65532 -m 0700 /var/lib/sidecar

COPY --from=build /opt/sidecar /opt/sidecar

# The root file system may be read-only: bytecode is compiled above, and only the volume is written to.
ENV PATH=/opt/sidecar/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SIDECAR_CONFIG=/etc/sidecar/sidecar.yaml

# A number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 65532:65532
VOLUME /var/lib/sidecar
EXPOSE 4100 4101 4102

# Alive, not ready: a container whose identity provider is away must not be restarted.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
    CMD ["sidecar", "healthcheck", "--probe", "live"]

ENTRYPOINT ["sidecar"]
CMD ["serve"]
