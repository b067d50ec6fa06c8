# Image of the ranking service. In the directory that holds serving_config/:
#   docker build -f serving_config/service.Dockerfile -t unified-ranker .
# Needed before: the wheel in dist/. `make wheel` in unified_ranker's repository writes it; copy it for another project.
FROM python:3.11-slim
COPY serving_config/requirements/service.txt dist/unified_ranker-*.whl /tmp/
RUN pip install --no-cache-dir --no-deps -r /tmp/service.txt /tmp/unified_ranker-*.whl \
    && rm /tmp/service.txt /tmp/unified_ranker-*.whl && useradd --system --uid 10001 unified
USER 10001
EXPOSE 8080
ENTRYPOINT ["unified-ranker"]
