"""An ONNX model under BentoML, with its own batching on. BentoML speaks no V2: the load sends its JSON form."""

import os
from typing import Annotated

import bentoml
import numpy as np
import onnxruntime
from bentoml.validators import DType


@bentoml.service(workers=1, traffic={"timeout": 30, "max_concurrency": 1024})
class Bench:
    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["BENCH_MODEL"], options, providers=["CPUExecutionProvider"])
        self.input_name = self.session.get_inputs()[0].name

    @bentoml.api(batchable=True, batch_dim=0, max_batch_size=32, max_latency_ms=30_000)
    def infer(self, x: Annotated[np.ndarray, DType("float32")]) -> np.ndarray:
        return self.session.run(None, {self.input_name: x})[0]
