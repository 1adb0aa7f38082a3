# The bridge and the bundled Flowdock server in one image. deploy/compose/ starts web server, worker and Flowdock server.
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS packages
COPY requirements-prod.txt /
RUN python3 -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /requirements-prod.txt \
    && /venv/bin/pip uninstall --yes --quiet pip

FROM ${PYTHON_IMAGE}
RUN groupadd --gid 10001 flowdock \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin flowdock \
    && install -d -o 10001 -g 10001 -m 700 /data
COPY --from=packages /venv /venv
WORKDIR /app
COPY manage.py ./
COPY flowdock_bridge flowdock_bridge
COPY flowdock_server flowdock_server
COPY hosting hosting
COPY integrations integrations
COPY polls polls
COPY static static
COPY templates templates
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DATA_DIR=/data \
    STATIC_ROOT=/app/collected/bridge \
    FLOWDOCK_SERVER_STATIC_ROOT=/app/collected/flowdock
# The keys are only for these commands. They write no secret into the image.
RUN mkdir collected \
    && export DATA_DIR=/tmp/building SECRET_KEY=building FIELD_KEYS=building FLOWDOCK_SERVER_SECRET_KEY=building \
    && python manage.py collectstatic --noinput --verbosity 0 \
    && python -m flowdock_server collectstatic --noinput --verbosity 0 \
    && rm -rf /tmp/building \
    && chmod -R a+rX collected \
    && python -m compileall -q /app
USER 10001:10001
VOLUME /data
EXPOSE 8000 8001
CMD ["python", "manage.py", "serve", "--host", "0.0.0.0", "--port", "8000"]
