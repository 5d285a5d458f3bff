"""What the protocol's own clients make of the server: `clients.py CHECK ADDRESS`, exit 0 when all holds."""

import asyncio
import sys

import numpy as np


def triton_http(address):
    import tritonclient.http as http
    from tritonclient.utils import InferenceServerException

    client = http.InferenceServerClient(address, concurrency=4)
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("cnn") and client.is_model_ready("cnn", "1")
    assert not client.is_model_ready("spare")
    assert client.get_server_metadata()["name"] == "naru"
    assert client.get_model_metadata("cnn")["inputs"][0]["shape"] == [-1, 1, 8, 8]
    assert client.get_model_config("cnn")["max_batch_size"] == 32

    images = np.random.default_rng(1).random((3, 1, 8, 8), dtype=np.float32)
    answers = []
    for binary_in in (True, False):
        for binary_out in (True, False):
            for packing in (None, "gzip", "deflate"):
                image = http.InferInput("image", [3, 1, 8, 8], "FP32")
                image.set_data_from_numpy(images, binary_data=binary_in)
                result = client.infer(
                    "cnn",
                    [image],
                    outputs=[http.InferRequestedOutput("scores", binary_data=binary_out)],
                    request_id="r1",
                    request_compression_algorithm=packing,
                    response_compression_algorithm=packing,
                )
                assert result.get_response()["id"] == "r1"
                answers.append(result.as_numpy("scores"))
    for answer in answers:
        assert answer.shape == (3, 10) and np.allclose(answer, answers[0], atol=1e-5)

    image = http.InferInput("image", [3, 1, 8, 8], "FP32")
    image.set_data_from_numpy(images)
    everything = client.infer("cnn", [image]).as_numpy("scores")
    assert np.allclose(everything, answers[0], atol=1e-5)
    handles = [client.async_infer("cnn", [image]) for _ in range(8)]
    assert all(np.allclose(handle.get_result().as_numpy("scores"), answers[0], atol=1e-5) for handle in handles)

    classes = client.infer("cnn", [image], outputs=[http.InferRequestedOutput("scores", class_count=2)])
    best = [row[0].decode().split(":")[1] for row in classes.as_numpy("scores")]
    assert best == [str(row.argmax()) for row in answers[0]]

    for name, datatype, values in samples():
        for binary in (True, False):
            if datatype == "FP16" and not binary:
                continue  # the client itself refuses FP16 in JSON
            tensor = http.InferInput("x", list(values.shape), datatype)
            tensor.set_data_from_numpy(values, binary_data=binary)
            asked = [http.InferRequestedOutput("y", binary_data=binary)]
            back = client.infer(name, [tensor], outputs=asked).as_numpy("y")
            assert same(back, values), (name, binary, back, values)

    statistics = client.get_inference_statistics("cnn")["model_stats"][0]
    assert statistics["inference_stats"]["success"]["count"] >= 22
    assert len(client.get_inference_statistics()["model_stats"]) >= 3
    index = {entry["name"]: entry.get("state") for entry in client.get_model_repository_index()}
    assert index["cnn"] == "READY" and index["spare"] == "UNAVAILABLE"
    client.load_model("spare")
    assert client.is_model_ready("spare")
    client.unload_model("spare")
    assert not client.is_model_ready("spare")

    wrong = http.InferInput("image", [1, 2], "FP32")
    wrong.set_data_from_numpy(np.zeros((1, 2), dtype=np.float32))
    for ask in (
        lambda: client.infer("cnn", [wrong]),
        lambda: client.infer("none", [image]),
        lambda: client.infer("cnn", [image], outputs=[http.InferRequestedOutput("none")]),
        lambda: client.get_model_metadata("none"),
        lambda: client.load_model("none"),
    ):
        try:
            ask()
        except InferenceServerException as refused:
            assert refused.status() in ("400", "404"), refused
            assert refused.message()
        else:
            raise AssertionError("a mistake was answered as if it were none")


def triton_grpc(address):
    import queue

    import tritonclient.grpc as grpc
    from tritonclient.utils import InferenceServerException

    client = grpc.InferenceServerClient(address)
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("cnn")
    assert client.get_server_metadata().name == "naru"
    assert list(client.get_model_metadata("cnn").inputs[0].shape) == [-1, 1, 8, 8]
    assert client.get_model_config("cnn").config.max_batch_size == 32

    images = np.random.default_rng(1).random((3, 1, 8, 8), dtype=np.float32)
    image = grpc.InferInput("image", [3, 1, 8, 8], "FP32")
    image.set_data_from_numpy(images)
    scores = client.infer("cnn", [image], request_id="r1").as_numpy("scores")
    assert scores.shape == (3, 10)
    for packing in ("gzip", "deflate"):
        packed = client.infer("cnn", [image], compression_algorithm=packing).as_numpy("scores")
        assert np.allclose(packed, scores, atol=1e-5)
    classes = client.infer("cnn", [image], outputs=[grpc.InferRequestedOutput("scores", class_count=1)])
    assert [row[0].decode().split(":")[1] for row in classes.as_numpy("scores")] == [
        str(row.argmax()) for row in scores
    ]
    for name, datatype, values in samples():
        tensor = grpc.InferInput("x", list(values.shape), datatype)
        tensor.set_data_from_numpy(values)
        assert same(client.infer(name, [tensor]).as_numpy("y"), values), name

    answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for number in range(4):
        client.async_stream_infer("cnn", [image], request_id=str(number))
    for _ in range(4):
        result, error = answers.get(timeout=20)
        assert error is None and np.allclose(result.as_numpy("scores"), scores, atol=1e-5)
    client.stop_stream()

    statistics = client.get_inference_statistics("cnn").model_stats[0]
    assert statistics.inference_stats.success.count >= 4
    index = {entry.name: entry.state for entry in client.get_model_repository_index().models}
    assert index["cnn"] == "READY" and index["spare"] == "UNAVAILABLE"
    client.load_model("spare")
    assert client.is_model_ready("spare")
    client.unload_model("spare")
    assert not client.is_model_ready("spare")

    for ask in (lambda: client.infer("none", [image]), lambda: client.get_model_metadata("none")):
        try:
            ask()
        except InferenceServerException as refused:
            assert refused.status() == "StatusCode.NOT_FOUND", refused
        else:
            raise AssertionError("a mistake was answered as if it were none")


def kserve_rest(address):
    from kserve import InferInput, InferRequest, InferenceRESTClient
    from kserve.inference_client import RESTConfig

    async def check():
        client = InferenceRESTClient(RESTConfig(protocol="v2", timeout=20))
        base = f"http://{address}"
        assert await client.is_server_ready(base) and await client.is_server_live(base)
        assert await client.is_model_ready(base, "cnn")
        images = np.random.default_rng(1).random((3, 1, 8, 8), dtype=np.float32)
        answers = []
        for binary in (False, True):
            image = InferInput("image", [3, 1, 8, 8], "FP32")
            image.set_data_from_numpy(images, binary_data=binary)
            request = InferRequest(model_name="cnn", infer_inputs=[image], request_id="r1")
            response = await client.infer(base, request, model_name="cnn")
            assert response.id == "r1" and response.model_name == "cnn"
            answers.append(response.outputs[0].as_numpy())
        assert answers[0].shape == (3, 10) and np.allclose(answers[0], answers[1], atol=1e-5)

    asyncio.run(check())


def samples():
    """Values for the identity models, by name."""
    numbers = [
        ("FP32", np.float32),
        ("FP64", np.float64),
        ("FP16", np.float16),
        ("INT8", np.int8),
        ("INT64", np.int64),
        ("UINT64", np.uint64),
    ]
    for datatype, kind in numbers:
        yield f"identity_{datatype}", datatype, np.array([[0, 1, 2, 100]], dtype=kind)
    yield "identity_INT64", "INT64", np.array([[2**62 + 1, -(2**63), 0, 1]], dtype=np.int64)
    yield "identity_BOOL", "BOOL", np.array([[True, False, False, True]])
    yield "identity_BYTES", "BYTES", np.array([["", "a", "한글", '"']], dtype=np.object_)


def same(back, values):
    if values.dtype == np.object_:
        texts = [element if isinstance(element, str) else element.decode() for element in back.flatten()]
        return texts == list(values.flatten())
    return back.dtype == values.dtype and np.array_equal(back, values)


if __name__ == "__main__":
    {"triton_http": triton_http, "triton_grpc": triton_grpc, "kserve_rest": kserve_rest}[sys.argv[1]](sys.argv[2])
