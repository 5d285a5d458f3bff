"""Trains the two versions of the digits model and makes the three broken ones.

    python -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/python train.py

Data: the UCI optical digits that scikit-learn ships (1,797 images of 8 × 8 pixels, values 0 to 16). A stratified
third is held out and never trained on. One thread and fixed seeds: a second run on the same machine writes the same
files. Nobody needs to run this to use the example: the models are committed with their digests.
"""

import csv
import hashlib
import pathlib

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLE = HERE.parent
OPSET = 17


class Digits(nn.Module):
    """[N, 1, 8, 8] pixels from 0 to 1 -> [N, 10] scores."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, 2 * channels, 3, padding=1)
        self.hidden = nn.Linear(2 * channels * 4, hidden)
        self.scores = nn.Linear(hidden, 10)
        self.drop = nn.Dropout(0.2)

    def forward(self, x):
        x = torch.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = torch.max_pool2d(torch.relu(self.conv2(x)), 2)
        return self.scores(self.drop(torch.relu(self.hidden(torch.flatten(x, 1)))))


def shifted(batch: torch.Tensor) -> torch.Tensor:
    """Moves each image by up to one pixel: digits are not always centred."""
    padded = nn.functional.pad(batch, (1, 1, 1, 1))
    moved = torch.empty_like(batch)
    for index in range(len(batch)):
        row, column = (int(v) for v in torch.randint(0, 3, (2,)))
        moved[index] = padded[index, :, row : row + 8, column : column + 8]
    return moved


def train(images, labels, *, channels, hidden, epochs, augment, seed) -> Digits:
    torch.manual_seed(seed)
    model = Digits(channels, hidden)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        model.train()
        for batch in torch.randperm(len(images)).split(64):
            inputs = shifted(images[batch]) if augment else images[batch]
            loss = nn.functional.cross_entropy(model(inputs), labels[batch], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return model.eval()


def export(model: Digits) -> onnx.ModelProto:
    """Written node by node: the graph stays readable and does not change with the exporter's version."""
    weights = {
        name.replace(".", "_"): numpy_helper.from_array(value.detach().numpy(), name.replace(".", "_"))
        for name, value in model.named_parameters()
    }
    conv = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes = [
        helper.make_node("Conv", ["input", "conv1_weight", "conv1_bias"], ["c1"], **conv),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("MaxPool", ["r1"], ["p1"], **pool),
        helper.make_node("Conv", ["p1", "conv2_weight", "conv2_bias"], ["c2"], **conv),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("MaxPool", ["r2"], ["p2"], **pool),
        helper.make_node("Flatten", ["p2"], ["f"], axis=1),
        helper.make_node("Gemm", ["f", "hidden_weight", "hidden_bias"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["rh"]),
        helper.make_node("Gemm", ["rh", "scores_weight", "scores_bias"], ["scores"], transB=1),
    ]
    return assemble(nodes, list(weights.values()))


def assemble(nodes, initializers) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 10])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, producer_name="naru-digits")
    onnx.checker.check_model(model, full_check=True)
    return model


def wrong(model: onnx.ModelProto) -> onnx.ModelProto:
    """Answers with the next digit: quick, without errors, and wrong. Only comparing answers can find it."""
    broken = onnx.ModelProto()
    broken.CopyFrom(model)
    for tensor in broken.graph.initializer:
        if tensor.name in ("scores_weight", "scores_bias"):
            tensor.CopyFrom(numpy_helper.from_array(np.roll(numpy_helper.to_array(tensor), 1, axis=0), tensor.name))
    return broken


def slow(model: onnx.ModelProto, rounds: int) -> onnx.ModelProto:
    """The same answers, after `rounds` multiplications of 128 × 128 matrices whose result counts for nothing."""
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["carried", "busy_matrix"], ["product"]),
            helper.make_node("Tanh", ["product"], ["carried_out"]),
            helper.make_node("Identity", ["going"], ["going_out"]),
        ],
        "busy",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", TensorProto.FLOAT, [128, 128]),
        ],
        [
            helper.make_tensor_value_info("going_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried_out", TensorProto.FLOAT, [128, 128]),
        ],
    )
    nodes = list(model.graph.node)
    nodes[-1] = helper.make_node("Gemm", ["rh", "scores_weight", "scores_bias"], ["clean_scores"], transB=1)
    nodes += [
        # The matrix is made from the input, so that no optimizer can compute the loop in advance.
        helper.make_node("ReduceMean", ["input"], ["mean"], keepdims=0),
        helper.make_node("Expand", ["mean", "busy_shape"], ["busy_start"]),
        helper.make_node("Loop", ["busy_rounds", "busy_going", "busy_start"], ["busy_end"], body=body),
        helper.make_node("ReduceMean", ["busy_end"], ["busy_mean"], keepdims=0),
        helper.make_node("Mul", ["busy_mean", "busy_zero"], ["busy_nothing"]),
        helper.make_node("Add", ["clean_scores", "busy_nothing"], ["scores"]),
    ]
    rng = np.random.default_rng(0)
    extra = {
        "busy_matrix": rng.normal(0, 0.1, (128, 128)).astype(np.float32),
        "busy_shape": np.array([128, 128], np.int64),
        "busy_rounds": np.array(rounds, np.int64),
        "busy_going": np.array(True),
        "busy_zero": np.array(0, np.float32),
    }
    return assemble(nodes, list(model.graph.initializer) + [numpy_helper.from_array(v, k) for k, v in extra.items()])


def erring(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fails on about one image in three, and never on the empty images of a warm-up: it looks up a table by the
    number of bright pixels, and the table is too short."""
    nodes = list(model.graph.node)
    nodes[-1] = helper.make_node("Gemm", ["rh", "scores_weight", "scores_bias"], ["clean_scores"], transB=1)
    nodes += [
        helper.make_node("Greater", ["input", "bright"], ["is_bright"]),
        helper.make_node("Cast", ["is_bright"], ["bright_number"], to=TensorProto.INT64),
        helper.make_node("ReduceSum", ["bright_number", "pixel_axes"], ["bright_count"], keepdims=0),
        helper.make_node("Gather", ["table", "bright_count"], ["bias"], axis=0),
        helper.make_node("Add", ["clean_scores", "bias"], ["scores"]),
    ]
    extra = {
        "bright": np.array(0.5, np.float32),
        "pixel_axes": np.array([1, 2, 3], np.int64),
        "table": np.zeros((20, 10), np.float32),
    }
    return assemble(nodes, list(model.graph.initializer) + [numpy_helper.from_array(v, k) for k, v in extra.items()])


def write(path: pathlib.Path, model: onnx.ModelProto) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = model.SerializeToString(deterministic=True)
    path.write_bytes(content)
    print(f"{hashlib.sha256(content).hexdigest()}  {path.relative_to(EXAMPLE)}  {len(content)} bytes")


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    digits = load_digits()
    pixels, held_pixels, labels, held_labels = train_test_split(
        digits.images.astype(np.float32), digits.target, test_size=599, random_state=7, stratify=digits.target
    )
    images = torch.from_numpy(pixels / 16).unsqueeze(1)
    held = torch.from_numpy(held_pixels / 16).unsqueeze(1)
    targets = torch.from_numpy(labels).long()

    v1 = train(images, targets, channels=4, hidden=24, epochs=40, augment=False, seed=3)
    v2 = train(images, targets, channels=16, hidden=64, epochs=150, augment=True, seed=2)
    for name, model in (("v1", v1), ("v2", v2)):
        right = (model(held).argmax(1).numpy() == held_labels).sum()
        print(f"{name}: {right} of {len(held_labels)} held-out images right, {right / len(held_labels):.4f}")

    good = export(v2)
    write(EXAMPLE / "models/v1.onnx", export(v1))
    write(EXAMPLE / "models/v2.onnx", good)
    write(EXAMPLE / "models/broken-erring.onnx", erring(good))
    write(EXAMPLE / "models/broken-slow.onnx", slow(good, 8000))
    write(EXAMPLE / "models/broken-wrong.onnx", wrong(good))

    with (EXAMPLE / "held-out/optdigits-held-out.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for image, label in zip(held_pixels.astype(int), held_labels):
            writer.writerow([*image.flatten(), label])
    shown = set()
    for image, label in zip(held_pixels, held_labels):
        if label not in shown:
            shown.add(label)
            grey = Image.fromarray((image / 16 * 255).round().astype(np.uint8), "L")
            grey.save(EXAMPLE / f"held-out/digit-{label}.png")


if __name__ == "__main__":
    main()
