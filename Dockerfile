# Two stages, so that the image contains no build tools and no pip cache.
FROM python:3.11-slim-bookworm AS packages
WORKDIR /service
RUN python -m venv /service/.venv
ENV PATH=/service/.venv/bin:$PATH
COPY requirements.txt .
RUN pip install --no-cache-dir --disable-pip-version-check -r requirements.txt

FROM python:3.11-slim-bookworm
# The user is not named `users`: Debian has a group of that name, and useradd would fail.
RUN groupadd --system --gid 10001 service \
    && useradd --system --uid 10001 --gid 10001 --no-create-home service \
    && install --directory --owner service /service/instance
WORKDIR /service
ENV PATH=/service/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    APP_SETTINGS=project.config.ProductionConfig
COPY --from=packages /service/.venv .venv
COPY manage.py gunicorn.conf.py entrypoint.sh ./
COPY migrations migrations
COPY project project
# Compiled here, since the service's user cannot write the compiled files at run time.
RUN python -m compileall -q project migrations manage.py
LABEL org.opencontainers.image.title=users \
      org.opencontainers.image.version="1.0.0"
USER 10001:10001
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ.get('PORT', '5000') + '/ping', timeout=2)"]
ENTRYPOINT ["./entrypoint.sh"]
CMD ["serve"]
