# A model in an image, as `spec.model.image` takes it: the runtime with the file where it is looked for.
ARG BASE=localhost/naru-runtime:e2e
FROM ${BASE}
COPY v1.onnx /models/model.onnx
