# The studio: docker build -t vton-studio . && docker run --rm -p 127.0.0.1:7860:7860 vton-studio
# Whoever lets others in sets VTON_STUDIO_PASSWORD: docker run -e VTON_STUDIO_PASSWORD=... -p 7860:7860 vton-studio
FROM python:3.11-slim

# What opencv-python asks of the system.
RUN apt-get update && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 && rm -rf /var/lib/apt/lists/*

WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY vton_jax ./vton_jax
RUN pip install --no-cache-dir ".[studio]" && rm -rf /source/build

RUN useradd --create-home studio
USER studio
WORKDIR /home/studio
EXPOSE 7860
# Within the container it has to listen on all addresses; which of them others reach is said by `docker run -p`.
ENTRYPOINT ["vton", "studio", "--host=0.0.0.0"]
