# The ranking service. Build at the repository's root: docker build -f serving_config/service.Dockerfile -t unified-ranker .
FROM python:3.11-slim
WORKDIR /opt/unified_ranker
COPY setup.cfg pyproject.toml README.md ./
COPY unified_ranker unified_ranker
RUN pip install --no-cache-dir ".[redis,traces]" && useradd --system --uid 10001 unified
USER 10001
EXPOSE 8080
ENTRYPOINT ["unified-ranker"]
