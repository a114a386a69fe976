# The engine alone: no compiler, no package manager's cache, no root, nothing writable but its volumes.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements-runtime.lock requirements.lock ./
RUN python -m venv /opt/keyturn \
 && /opt/keyturn/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements-runtime.lock \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY engine engine
COPY executors executors
COPY triggers triggers
COPY templates templates
RUN /opt/build/bin/python -m hatchling build -t wheel -d /dist \
 && /opt/keyturn/bin/pip install --no-cache-dir --no-deps /dist/keyturn-*.whl

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 keyturn \
 && useradd --uid 10001 --gid 10001 --home-dir /var/lib/keyturn --no-create-home --shell /usr/sbin/nologin keyturn \
 && install -d -m 0700 -o 10001 -g 10001 /var/lib/keyturn /var/lib/keyturn-journal
COPY --from=build /opt/keyturn /opt/keyturn
ENV PATH=/opt/keyturn/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 KEYTURN_DATA=/var/lib/keyturn
USER 10001:10001
VOLUME ["/var/lib/keyturn", "/var/lib/keyturn-journal"]
EXPOSE 8470 9470
ENTRYPOINT ["keyturn"]
CMD ["up"]
